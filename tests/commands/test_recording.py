"""`vibrissa record` at an arm that is led: the twin, by keys and by its leader."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands.desk import press, record, served
from data.recordings import contract
from data.recordings import record as recorded
from learn.tiny import quiet

from vibrissa import cli
from vibrissa.bench import first_look
from vibrissa.commands.train import train_policy
from vibrissa.core.units import to_rad
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import ACTION, STATE
from vibrissa.learn.policy import CheckpointPolicy
from vibrissa.learn.recipes import recipe_named
from vibrissa.learn.run import pretrained_folder
from vibrissa.twin.faults import BusFault
from vibrissa.twin.twin import Twin


@pytest.fixture
def desk(tmp_path: Path):
    with served(tmp_path / "twin") as twin:
        yield twin.folder


def _reasons(out: Path) -> list[str]:
    return [note["reason"] for note in open_dataset(out).notes]


def test_a_leader_s_motion_is_recorded_from_one_file(tmp_path: Path, desk: Path, capsys) -> None:
    """Hardware, task, episodes and seconds from a YAML file alone."""
    file = desk / "sway.yaml"
    told = {
        "instruction": "Sway to and fro",
        "episodes": 2,
        "seconds": 1.0,
        "reset_seconds": 0.4,
        "operator": "Ada",
        "light": "two lamps, evening",
        "out": "set",
    }
    file.write_text((desk / "rig.yaml").read_text() + yaml.safe_dump(told))
    assert cli.main(["record", "--config", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    dataset = open_dataset(desk / "set")
    assert (told["episodes"], told["frames"]) == (2, 60)
    assert [row.length for row in dataset.episodes] == [30, 30]
    assert dataset.tasks == ("Sway to and fro",)
    assert dataset.contract.calibration.startswith("so101-")
    assert set(dataset.column("source").tolist()) == {1}  # human
    motion = to_rad(dataset.column(ACTION), "deg")
    assert np.ptp(motion[:, 0]) > 0.05  # it followed the leader
    assert np.abs(to_rad(dataset.column(STATE), "deg") - motion).max() < 0.5
    sessions = json.loads((desk / "set/meta/vibrissa/recording.json").read_text())["sessions"]
    assert sessions[0]["operator"] == "Ada"
    assert sessions[0]["light"] == "two lamps, evening"
    assert told["timing"]["ticks"] == 60
    assert "observe" in told["timing"]["phases_p50_ms"]
    assert all("reached_hz" in note["measures"] for note in dataset.notes)
    assert "no terminal here" in err
    assert "episode 2 of 2: 30 ticks, saved (not judged)" in err


def test_keys_save_throw_away_judge_and_stop(tmp_path: Path, desk: Path, monkeypatch, capsys):
    n = [None] * 12
    press(monkeypatch, [*n, "s", *n, "left", *n, "f", *n, "right", *n, "esc"])
    out = tmp_path / "set"
    assert record(desk, out, "--episodes", "9") == 0
    assert _reasons(out) == ["success", "failure", "timeout"]
    told = capsys.readouterr()
    assert "left out; once more" in told.err
    assert "3 episodes" in told.out
    assert "1 broken off and kept in the journal: vibrissa data recover" in told.out


def test_an_existing_set_is_never_written_over(tmp_path: Path, desk: Path, capsys) -> None:
    out = tmp_path / "set"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert record(desk, out) == 1
    told = capsys.readouterr().err
    assert "exists already" in told
    assert "--resume" in told
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_resuming_means_up_to_and_topping_up_means_more(tmp_path: Path, desk: Path, capsys) -> None:
    out = tmp_path / "set"
    assert record(desk, out, "--episodes", "2", "--resume") == 0  # nothing is there yet
    assert record(desk, out, "--episodes", "3", "--resume") == 0
    told = capsys.readouterr()
    assert "holds 2 episodes; 1 are to come" in told.err
    assert "episode 3 of 3" in told.err
    assert "1 episodes (+ 2 that were there)" in told.out
    assert record(desk, out, "--episodes", "3", "--resume") == 0
    assert "0 are to come" in capsys.readouterr().err
    assert record(desk, out, "--top-up", "2") == 0
    dataset = open_dataset(out)
    assert len(dataset.episodes) == 5
    assert [note["episode"] for note in dataset.notes] == list(range(5))


def test_a_recalibrated_arm_is_noticed(tmp_path: Path, desk: Path, capsys) -> None:
    """Joint angles of another calibration mean something else: they never get into one set."""
    out = tmp_path / "set"
    assert record(desk, out, "--episodes", "1") == 0
    path = out / "meta/vibrissa/recording.json"
    path.write_text(path.read_text().replace("so101-", "so101-before-"))
    path = out / "meta/vibrissa/contract.json"
    path.write_text(path.read_text().replace("so101-", "so101-before-"))
    assert record(desk, out, "--top-up", "1") == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert "calibrated anew" in err
    assert "so101-before" in err
    assert "--recalibrated" in err
    assert len(open_dataset(out).episodes) == 1
    assert record(desk, out, "--top-up", "1", "--recalibrated") == 0
    assert len(open_dataset(out).episodes) == 2


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--instruction", ""], "say what is done"),
        (["--pilot", "expert"], "no pilot 'expert' for a real arm. The expert reads"),
        (["--pilot", "random"], "would swing it"),
        (["--pilot", "replay"], "--pilot replay and --replay DATASET go together"),
        (["--pilot", "policy"], "--pilot policy and --checkpoint RUN go together"),
        (["--resume", "--top-up", "2"], "say one of them"),
        (["--top-up", "2"], "there is no dataset"),
        (["--seconds", "0"], "--seconds 0: more than 0"),
        (["--seconds", "inf"], "less than 10000"),
        (["--rate", "29.97"], "--rate 29.97: a whole number"),
        (["--reset-seconds", "nan"], "--reset-seconds nan"),
        (["--home", "direct"], "names no home_deg"),
        (["--cameras", "wrist"], "the rig has: none"),
        (["--randomise", "light"], "--randomise: not for a real arm"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path, desk, capsys, argv, told) -> None:
    assert record(desk, tmp_path / "set", *argv) == 1
    err = capsys.readouterr().err.splitlines()
    assert told in err[-1]
    assert not (tmp_path / "set").exists()


def test_a_key_that_nobody_knows_is_told_with_its_line(tmp_path: Path, desk: Path, capsys) -> None:
    file = desk / "more.yaml"
    file.write_text((desk / "rig.yaml").read_text() + "episode: 3\n")
    assert cli.main(["record", "--config", str(file), "--out", str(tmp_path / "set")]) == 1
    err = capsys.readouterr().err
    assert "more.yaml, line " in err
    assert "Did you mean 'episodes'?" in err


def test_a_recorded_episode_is_played_on_the_arm_again(tmp_path: Path, desk: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert record(desk, first, "--episodes", "1") == 0
    argv = ["--pilot", "replay", "--replay", str(first), "--episodes", "1"]
    assert record(desk, second, *argv) == 0
    one, two = (open_dataset(path).episode(0) for path in (first, second))
    np.testing.assert_allclose(two["asked"], one[ACTION], atol=1e-3)
    assert set(open_dataset(second).column("source").tolist()) == {2}  # script


def test_without_options_of_a_real_arm_a_script_refuses_them(tmp_path: Path, capsys) -> None:
    argv = ["record", "--out", str(tmp_path / "set"), "--resume", "--seconds", "3"]
    assert cli.main(argv) == 1
    assert "--seconds, --resume: not for the expert pilot" in capsys.readouterr().err


def test_the_simulated_arm_is_led_by_keys_and_judged_by_its_task(
    tmp_path: Path, monkeypatch
) -> None:
    def presses() -> Iterator[str | None]:
        for judged in ("s", "right"):
            began_s = time.monotonic()
            while time.monotonic() - began_s < 1.0:
                yield None
            yield from ("q", "w", judged)

    press(monkeypatch, presses())
    out = tmp_path / "set"
    argv = ["record", "--out", str(out), "--task", "lift", "--pilot", "keyboard"]
    assert cli.main([*argv, "--episodes", "2", "--seeds", "4"]) == 0
    dataset = open_dataset(out)
    assert _reasons(out) == ["success", "timeout"]
    assert [note["seed"] for note in dataset.notes] == [4, 5]
    assert set(dataset.column("source").tolist()) == {1}
    assert dataset.tasks == ("Lift the cube",)
    assert "max_height_m" in dataset.notes[0]["measures"]  # of the task's own judge


def test_a_live_view_is_left_beside_the_recording(tmp_path: Path, desk: Path) -> None:
    view = tmp_path / "view.rrd"
    assert record(desk, tmp_path / "set", "--episodes", "1", "--live-file", str(view)) == 0
    assert view.stat().st_size > 1000


def _breaking(twin: Twin, capsys, heard: list[str]) -> Iterator[str | None]:
    """An episode, then the follower falls silent in the second one until somebody is asked."""
    yield from [*[None] * 12, "s", *[None] * 12]
    twin.stations["follower"].fault(BusFault("silent"))
    for _ in range(5000):
        heard.append(capsys.readouterr().err)
        if "→ connect again" in "".join(heard):
            break
        yield None
    twin.stations["follower"].heal()
    yield "right"
    yield from [*[None] * 12, "f"]


def test_after_a_fault_a_key_goes_on_and_nothing_finished_is_lost(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    heard: list[str] = []
    out = tmp_path / "set"
    with served(tmp_path / "twin") as twin:
        press(monkeypatch, _breaking(twin, capsys, heard))
        assert record(twin.folder, out, "--episodes", "2", "--seconds", "100") == 0
    told = capsys.readouterr()
    assert _reasons(out) == ["success", "failure"]
    assert "The arm holds; every finished episode is kept." in "".join(heard)
    assert "1 broken off and kept in the journal" in told.out


def test_a_fault_that_nobody_can_mend_ends_it_with_its_line(tmp_path: Path, capsys) -> None:
    out = tmp_path / "set"
    with served(tmp_path / "twin") as twin:

        def pull() -> None:
            while not (out / "meta" / "info.json").exists():  # an episode is stored
                time.sleep(0.02)
            twin.stations["leader"].fault(BusFault("silent"))

        threading.Thread(target=pull, daemon=True).start()
        assert record(twin.folder, out, "--episodes", "500") == 1
    err = capsys.readouterr().err
    assert "no answer from" in err.splitlines()[-1]
    dataset = open_dataset(out)
    assert len(dataset.episodes) >= 1
    assert {note["reason"] for note in dataset.notes} == {"timeout"}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A policy that was trained for a moment, on a set that knows no calibration."""
    made = tmp_path / "made"
    recorded(made / "set", contract(privileged=False), 2)
    train_policy(recipe_named("debug"), made / "set", made / "run", threads=1, say=quiet)
    return made / "run"


def _led_by(checkpoint: Path, desk: Path, out: Path, *more: str) -> int:
    argv = ["--pilot", "policy", "--checkpoint", str(checkpoint), "--device", "cpu"]
    return record(desk, out, *argv, "--episodes", "1", *more)


def test_a_checkpoint_may_lead_and_is_recorded_as_a_policy(
    tmp_path: Path, desk: Path, checkpoint: Path, capsys
) -> None:
    out = tmp_path / "set"
    assert _led_by(checkpoint, desk, out) == 0
    dataset = open_dataset(out)
    assert set(dataset.column("source").tolist()) == {0}  # policy
    assert len(dataset.column("source")) == 15
    assert "inferences/s" in capsys.readouterr().err  # the first look of vibrissa deploy


def test_a_checkpoint_passes_the_preflight_of_deploy_before_anything_moves(
    tmp_path: Path, desk: Path, checkpoint: Path, capsys, monkeypatch
) -> None:
    """Calibration, range and a measured lead; each ends it with deploy's own line."""
    found = pretrained_folder(checkpoint) / "vibrissa" / "contract.json"
    known = found.read_text()
    found.write_text(json.dumps({**json.loads(known), "calibration": "so101-another"}))
    assert _led_by(checkpoint, desk, tmp_path / "set") == 1
    assert "wants 'so101-another'" in (err := capsys.readouterr().err)
    assert "nothing was moved" in err
    found.write_text(known)
    act = CheckpointPolicy.act
    monkeypatch.setattr(CheckpointPolicy, "act", lambda self, seen: act(self, seen) + 50)
    assert _led_by(checkpoint, desk, tmp_path / "set") == 1
    assert "the first chunk wants shoulder_pan" in capsys.readouterr().err
    monkeypatch.setattr(CheckpointPolicy, "act", act)
    monkeypatch.setattr(first_look, "SLACK", 1e6)  # a computer that is far too slow
    assert _led_by(checkpoint, desk, tmp_path / "set") == 1
    assert "too slow for this policy" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
