"""`vibrissa eval --from`: the very same episode, from the folder of an earlier evaluation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vibrissa import cli
from vibrissa.bench.outcomes import read_rows
from vibrissa.learn.run import pretrained_folder
from vibrissa.sim.arm import SimArm
from vibrissa.sim.snapshot import restore
from vibrissa.sim.snapshot_file import load

EXPERT = ["--pilot", "expert", "--task", "lift"]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["eval", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["eval", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def lines_of(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows as they stand in the file, without the times."""
    rows = [json.loads(line) for line in (folder / "outcomes.jsonl").read_text().splitlines()]
    for row in rows:
        del row["wall_s"], row["latency_s"]
    return {(row["pilot"], row["seed"]): row for row in rows}


@pytest.fixture(scope="module")
def varied(debug_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint judged on three seeds, with everything changed that can be."""
    out = tmp_path_factory.mktemp("varied") / "out"
    words = [str(debug_run), "--episodes", "3", "--seeds", "60", "--site", "second", "--alone"]
    words += ["--randomise", "strong:friction,mass,start,action_latency,joint_noise"]
    words += ["--friction", "sticky", "--spawn-half", "0.06", "--horizon", "4"]
    words += ["--grip", "offset=-0.05,clip=-0.1:1.2", "--device", "cpu", "--out", str(out)]
    assert cli.main(["eval", *words]) == 0
    return out


def test_one_episode_again_is_the_same_bit_for_bit(
    varied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = told(capsys, "--from", str(varied), "--only-seed", "62", "--out", str(tmp_path / "one"))
    assert again["differs"] == {"62": []}
    assert (again["episodes"], again["seeds"]) == (1, [62])
    name = "policy:horizon=4,grip=offset=-0.05,clip=-0.1:1.2"
    before, after = lines_of(varied), lines_of(tmp_path / "one")
    assert list(after) == [(name, 62)]
    assert after[name, 62] == before[name, 62]
    assert after[name, 62]["sampled"]["mass"] > 0
    assert len(before) == 3


def test_several_seeds_or_all_of_them(varied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--from", str(varied), "--only-seed", "62", "--only-seed", "61"]
    assert told(capsys, *words)["differs"] == {"62": [], "61": []}
    assert cli.main(["eval", "--from", str(varied)]) == 0
    assert "again   3 seeds: the same as before, bit for bit" in capsys.readouterr().out


def test_an_episode_that_was_another_one_is_said_to_differ(
    varied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(varied, other)
    rows = (other / "outcomes.jsonl").read_text().splitlines()
    changed = [json.dumps({**json.loads(row), "ticks": 7}) for row in rows]
    (other / "outcomes.jsonl").write_text("\n".join(changed) + "\n")
    assert cli.main(["eval", "--from", str(other), "--only-seed", "62"]) == 0
    assert "again   seed 62: differs from before in ticks" in capsys.readouterr().out


def test_weights_that_have_moved_may_be_named_and_others_are_refused(
    debug_run: Path, varied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(pretrained_folder(debug_run).resolve(), moved)
    words = ["--from", str(varied), "--only-seed", "60"]
    assert told(capsys, str(moved), *words)["differs"] == {"60": []}
    first = debug_run / "checkpoints" / "000010"
    assert "is not the checkpoint that" in refused(capsys, str(first), *words)


def test_a_film_of_one_failure(
    opengl: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, films = tmp_path / "out", tmp_path / "films"
    zero = ["--pilot", "zero", "--task", "lift", "--episodes", "2", "--seeds", "5"]
    told(capsys, *zero, "--out", str(out))
    told(capsys, "--from", str(out), "--only-seed", "6", "--video", str(films))
    assert [p.name for p in films.iterdir()] == ["seed_000006_NEVER_PICKED_UP.mp4"]
    page = (out / "report.md").read_text("utf8")
    assert f"vibrissa eval --from {out} --only-seed 5 --video films" in page


def test_an_evaluation_that_was_stopped_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*EXPERT, "--seeds", "5", "--out", str(out)]
    told(capsys, *words, "--episodes", "3")
    first = (out / "outcomes.jsonl").read_text()
    assert told(capsys, *words, "--episodes", "5")["episodes"] == 5
    assert (out / "outcomes.jsonl").read_text().startswith(first)
    assert [r.seed for r in read_rows(out / "outcomes.jsonl")] == [5, 6, 7, 8, 9]
    line = refused(capsys, *words, "--episodes", "5", "--randomise", "light")
    assert "holds something else (scene.random." in line
    line = refused(capsys, *words, "--rollouts", str(tmp_path / "ticks"))
    assert "holds 5 of these episodes already" in line


def test_states_are_kept_and_the_episode_goes_on_from_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "states"
    words = [*EXPERT, "--episodes", "1", "--seeds", "8", "--randomise", "strong:mass,start"]
    told(capsys, *words, "--snapshots", str(folder), "--snapshots-every", "20")
    tapes = tmp_path / "tapes"
    told(capsys, *words, "--rollouts", str(tapes))
    (path,), (tape,) = folder.iterdir(), tapes.iterdir()
    assert path.name == "seed_000008_SUCCESS.npz"
    kept, ticks = load(path), json.loads(tape.read_text())["ticks"]
    assert kept.about["seed"] == 8
    assert [s.tick for s in kept.snapshots] == list(range(0, len(ticks), 20))
    arm = SimArm(kept.snapshots[1].cfg)
    restore(arm, kept.at(20))
    for tick in (21, 22, 23):
        seen = arm.observe()
        assert seen.tick == tick
        assert seen.state.tolist() == pytest.approx(ticks[tick]["state"], abs=1e-6)
        where = seen.truth["object_position"].tolist()
        assert where == pytest.approx(ticks[tick]["object_position"], abs=1e-6)
        arm.send(np.array(ticks[tick]["sent"], np.float32))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only-seed", "3"], "--only-seed 3 was not tried in"),
        (["--episodes", "3"], "--episodes beside --from"),
        (["--randomise", "light"], "--randomise beside --from"),
        (["--sweep", "horizon=1"], "--sweep beside --from"),
        (["--only-seed", "60", "--only-seed", "60"], "the same seed twice"),
    ],
)
def test_what_is_said_beside_from_must_fit(
    varied: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in refused(capsys, "--from", str(varied), *words)


def test_the_folder_of_from_is_not_written_to(
    varied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "--from", str(varied), "--out", str(varied))
    assert "is the folder of --from" in line
    assert "holds no evaluation" in refused(capsys, "--from", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grip", "offset=9"], "at most 2 rad"),
        (["--grip", "horizon=3"], "offset=, min= and clip= only"),
        (["--ensemble", "0.01"], "--ensemble is for checkpoints"),
        (["--snapshots-every", "0"], "at least 1 tick"),
        (["--spawn-half", "0"], "above 0"),
        (["--randomise", "strong:wind"], "no factor 'wind'. There is: camera"),
    ],
)
def test_nonsense_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in refused(capsys, *EXPERT, *words)


def test_a_weak_grip_is_measured_and_a_squeeze_strengthens_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The jaws meet the brick at 0.26 rad. The expert closes to 0, which the servo's limit ends."""
    words = ["--pilot", "expert", "--task", "pick-place", "--episodes", "3"]
    force_n = [
        told(capsys, *words, *grip)["mean_grip_n"]
        for grip in (
            [],
            ["--grip", "clip=0.25:1.7"],
            ["--grip", "offset=0.25"],
            ["--grip", "offset=0.25,min=0.03"],
        )
    ]
    whole, clipped, shifted, squeezed = force_n
    assert whole > 40
    assert 5 < clipped < 20
    assert 5 < shifted < 20
    assert squeezed > 2 * shifted
