"""`vibrissa eval` over several settings: the same seeds, verdicts, and a folder to go on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands.test_bad_input import raising_in
from learn.elsewhere import train_elsewhere

from vibrissa import cli
from vibrissa.bench import sweeps
from vibrissa.bench.judge import CutShort
from vibrissa.bench.outcomes import read_rows
from vibrissa.commands.eval import HELD_OUT, PICKING

EXPERT = ["--pilot", "expert", "--task", "pick-place", "--seeds", "5"]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["eval", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["eval", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_sweep_has_the_checkpoints_own_way_as_its_baseline(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [str(debug_run), "--sweep", "horizon=2,5", "--sweep", "ensemble=off,0.01"]
    words += ["--episodes", "2", "--device", "cpu", "--out", str(out)]
    result = told(capsys, *words)
    names = [cell["cell"] for cell in result["cells"]]
    assert names == ["horizon=5 (its own)", "horizon=2", "ensemble=0.01"]  # one for all horizons
    own, two, ensemble = result["cells"]
    assert own["versus"] is None
    assert two["versus"]["verdict"] == "not separated"
    assert (two["versus"]["pairs"]["neither"], two["episodes"]) == (2, 2)
    assert own["asks_per_s"] == pytest.approx(30 / 5)
    assert two["asks_per_s"] == pytest.approx(30 / 2)
    assert ensemble["asks_per_s"] == pytest.approx(30)
    assert result["beside"]["expert"]["success"] == 2
    assert result["beside"]["zero"]["success"] == 0
    folders = sorted(p.name for p in (out / "cells").iterdir())
    assert "horizon=2" in folders
    assert len(folders) == 5
    page = (out / "report.html").read_text("utf8")
    assert "asks/s" in page
    assert "exact McNemar" in page
    assert json.loads((out / "report.json").read_text())["cells"] == result["cells"]


def test_a_cell_of_a_sweep_is_an_evaluation_to_be_had_again(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [str(debug_run), "--sweep", "horizon=2", "--episodes", "2", "--alone"]
    told(capsys, *words, "--device", "cpu", "--out", str(out))
    cell = out / "cells" / "horizon=2"
    again = told(capsys, "--from", str(cell), "--only-seed", str(HELD_OUT + 1))
    assert (again["pilot"], again["differs"]) == ("policy:horizon=2", {str(HELD_OUT + 1): []})


def test_a_sweep_that_was_stopped_goes_on_and_another_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*EXPERT, "--sweep", "offset=0.1,0.2", "--episodes", "3", "--out", str(out)]
    whole = told(capsys, *words)
    rows = out / "cells" / "grip=offset=0.2" / "outcomes.jsonl"
    kept = rows.read_text().splitlines(keepends=True)
    other = out / "cells" / "grip=offset=0.1" / "outcomes.jsonl"
    before = other.read_text()
    rows.write_text(kept[0] + kept[1][:40])  # as a kill leaves it
    again = told(capsys, *words)
    assert [cell["success"] for cell in again["cells"]] == [c["success"] for c in whole["cells"]]
    assert sorted(r.seed for r in read_rows(rows)) == [5, 6, 7]
    assert other.read_text() == before
    line = refused(capsys, *EXPERT, "--sweep", "offset=0.1", "--episodes", "3", "--out", str(out))
    assert "holds something else" in line


def test_a_sweep_that_loses_a_process_says_where_its_rows_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def judge(setup, seeds, **more):
        judged.append(setup.name)
        if len(judged) == 2:
            raise CutShort("a worker process was killed. 1 of 2 episodes are judged.", [])
        return real(setup, seeds, **more)

    real = sweeps.judge
    monkeypatch.setattr(sweeps, "judge", judge)
    words = ["--pilot", "zero", "--task", "lift", "--sweep", "offset=0.1", "--episodes", "2"]
    out = tmp_path / "out"
    assert cli.main(["eval", *words, "--out", str(out)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "vibrissa: grip=offset=0.1 (2 of 2): a worker process was killed. 1 of 2 episodes are "
        f"judged. They and those before are in {out / 'cells'}: the same command goes on with them."
    )
    assert len(read_rows(out / "cells" / "as_it_is" / "outcomes.jsonl")) == 2
    judged.clear()
    assert cli.main(["eval", *words]) == 1
    assert "With --out, what was judged before" in capsys.readouterr().err


def test_what_breaks_while_a_checkpoint_is_chosen_is_told(
    debug_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the one that is reported never broke."""
    raising_in(monkeypatch, 1, lambda made: made * np.nan)
    words = [str(debug_run), "--all-checkpoints", "--episodes", "2", "--device", "cpu"]
    assert cli.main(["eval", *words, "--slots", "1"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "1 of 6 episodes broke down and count as not solved" in line
    assert f"(seed {PICKING})" in line


def test_a_worse_grip_is_said_to_be_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Jaws that stay open at 0.6 rad carry nothing; six seeds are enough to say so."""
    words = ["--pilot", "expert", "--task", "lift", "--sweep", "clip=0.6:1.7", "--episodes", "6"]
    words += ["--out", str(tmp_path / "out")]  # the second call finds all rows there
    own, loose = told(capsys, *words)["cells"]
    assert (own["success"], loose["success"]) == (6, 0)
    versus = loose["versus"]
    assert (versus["verdict"], versus["pairs"]["only_second"]) == ("worse", 6)
    assert versus["p"] == pytest.approx(2 * 0.5**6)
    assert cli.main(["eval", *words]) == 0
    out = capsys.readouterr().out
    assert "as it is" in out
    assert "−100 points (−100 to −45): worse, p 0.031" in out


def test_a_checkpoint_is_chosen_on_some_seeds_and_reported_on_others(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [str(debug_run), "--all-checkpoints", "--episodes", "2", "--device", "cpu"]
    result = told(capsys, *words, "--out", str(out))
    assert result["picked"] == "000020"  # of two that solved nothing, the one trained longer
    assert [c["cell"] for c in result["candidates"]] == ["000010", "000020"]
    assert result["pick_seeds"] == [PICKING, PICKING + 1]
    assert result["seeds"] == [HELD_OUT, HELD_OUT + 1]
    reported = read_rows(out / "cells" / "000020" / "outcomes.jsonl")
    seeds = sorted(r.seed for r in reported)
    assert seeds == [HELD_OUT, HELD_OUT + 1, PICKING, PICKING + 1]
    assert result["beside"]["expert"]["success"] == 2  # on the seeds of the result
    assert result["beside"]["zero"]["success"] == 0
    for told_in in (result["sentence"], (out / "report.md").read_text("utf8")):
        assert f"chosen among 2 on seeds {PICKING} to {PICKING + 1}" in told_in
        assert f"On seeds {HELD_OUT} to {HELD_OUT + 1}, which had no part in the choice" in told_in
    line = refused(capsys, *words, "--pick-seeds", str(HELD_OUT + 1))
    assert "would choose the checkpoint and report it too" in line


def test_sites_stand_beside_each_other_with_the_expert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--pilot", "zero", "--task", "pick-place", "--episodes", "2", "--out", str(out)]
    result = told(capsys, *words, "--sites", "first", "second")
    assert [cell["cell"] for cell in result["cells"]] == ["first", "second"]
    assert result["cells"][1]["versus"]["pairs"] is None  # other scenes: nothing is paired
    spawns = [
        read_rows(out / "cells" / site / "outcomes.jsonl")[0].spawn for site in ("first", "second")
    ]
    assert spawns[0][1] > 0.18  # type: ignore[index]
    assert abs(spawns[1][1]) < 0.06  # type: ignore[index]
    assert "Where: second" in (out / "report.md").read_text("utf8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "speed=1"], "There is: horizon, ensemble, offset, min, clip"),
        (["--sweep", "offset"], "want a name and its values"),
        (["--sweep", "offset=off"], "nothing but"),
        (["--sweep", "offset=1", "--sweep", "offset=2"], "each of them once"),
        (["--sweep", "horizon=3"], "a scripted pilot has no chunks"),
        (["--sweep", "offset=1", "--panel", "light"], "one of them at a time"),
        (["--sites", "first"], "at least two different ones of first, second"),
        (["--sites", "first", "moon"], "at least two different ones of first, second"),
        (["--panel", "light", "--randomise", "light"], "Leave --randomise out"),
        (["--all-checkpoints"], "a scripted pilot has no checkpoints"),
        (["--sweep", "offset=1", "--video", "films"], "--video with a sweep"),
    ],
)
def test_nonsense_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in refused(capsys, *EXPERT, *words)


def test_a_run_with_one_checkpoint_leaves_nothing_to_choose(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    assert "has no checkpoint yet" in refused(capsys, str(run), "--all-checkpoints")
    (run / "checkpoints" / "000010").symlink_to(debug_run / "checkpoints" / "000010")
    assert "there is nothing to choose from" in refused(capsys, str(run), "--all-checkpoints")
    folder = str(debug_run / "checkpoints" / "000010")
    assert "is no run folder" in refused(capsys, folder, "--all-checkpoints")


def test_what_is_odd_at_first_is_told_in_sweeps_too(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree((debug_run / "checkpoints" / "last").resolve() / "pretrained_model", model)
    train_elsewhere(model)
    words = ["eval", str(model), "--sweep", "horizon=2", "--episodes", "1", "--alone", "--json"]
    assert cli.main([*words, "--seeds", "5", "--device", "cpu", "--out", str(out)]) == 0
    printed, err = capsys.readouterr()
    warned = [line[8:] for line in err.splitlines() if line.startswith("warning ")]
    assert warned[0].startswith("observation.state: shoulder_pan.pos is ")
    assert warned[1].startswith("Demonstrations may have come from these very seeds")
    assert json.loads(printed)["cautions"] == warned
    assert "Demonstrations may have come from" in (out / "report.html").read_text("utf8")
    again = ["eval", "--from", str(out / "cells" / "horizon=2"), "--json"]
    assert cli.main(again) == 0
    assert warned[0] in capsys.readouterr().err


def test_expert_and_zero_pilot_stand_at_every_site(
    debug_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(debug_run), "--sites", "first", "second", "--episodes", "1", "--device", "cpu"]
    beside = told(capsys, *words)["beside"]
    assert list(beside) == [f"{s}, {p}" for s in ("first", "second") for p in ("expert", "zero")]
    assert [one["success"] for one in beside.values()] == [1, 0, 1, 0]


def test_a_checkpoint_that_cannot_be_read_is_left_out_and_told(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(debug_run, run, symlinks=True)
    shutil.copytree(run / "checkpoints" / "000010", run / "checkpoints" / "000015")
    weights = run / "checkpoints" / "000015" / "pretrained_model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    words = ["eval", str(run), "--all-checkpoints", "--episodes", "1", "--device", "cpu", "--alone"]
    assert cli.main([*words, "--json"]) == 1
    out, err = capsys.readouterr()
    chosen = json.loads(out)
    assert [one["cell"] for one in chosen["candidates"]] == ["000010", "000020"]
    (line,) = [line for line in err.splitlines() if line.startswith("warning ")]
    assert line.startswith("warning checkpoint 000015 is left out: ")
    assert chosen["cautions"] == [line[8:]]
    shutil.rmtree(run / "checkpoints" / "000010")
    out = tmp_path / "out"
    line = refused(capsys, *words[1:], "--out", str(out)).removeprefix("vibrissa: ")
    assert line.startswith("fewer than two checkpoints can be read: checkpoint 000015")
    assert not out.exists()


@pytest.fixture
def three(debug_run: Path, tmp_path: Path) -> Path:
    """A run with a third checkpoint, the last one, free to be damaged."""
    import shutil

    run = tmp_path / "run"
    shutil.copytree(debug_run, run, symlinks=True)
    shutil.copytree(run / "checkpoints" / "000020", run / "checkpoints" / "000030")
    last = run / "checkpoints" / "last"
    last.unlink()
    last.symlink_to("000030")
    return run


def test_a_last_checkpoint_that_a_kill_cut_short_is_left_out_like_any_other(
    three: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = three / "checkpoints" / "000030" / "pretrained_model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    words = ["eval", str(three), "--all-checkpoints", "--episodes", "1", "--device", "cpu"]
    assert cli.main([*words, "--alone", "--json"]) == 1
    out, err = capsys.readouterr()
    assert [one["cell"] for one in json.loads(out)["candidates"]] == ["000010", "000020"]
    assert "warning checkpoint 000030 is left out: " in err


def test_weights_that_are_not_finite_are_left_out_when_their_turn_comes_and_each_is_read_once(
    three: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.numpy import load_file, save_file

    from vibrissa.bench.trials import Trial

    weights = three / "checkpoints" / "000010" / "pretrained_model" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.action_head.bias"][0] = np.nan
    save_file(tensors, weights)
    load, read = Trial.load, []

    def counted(self: Trial) -> object:
        assert self.checkpoint is not None
        read.append(self.checkpoint.parent.name)
        return load(self)

    monkeypatch.setattr(Trial, "load", counted)
    words = ["eval", str(three), "--all-checkpoints", "--episodes", "1", "--device", "cpu"]
    assert cli.main([*words, "--alone", "--json"]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert [one["cell"] for one in told["candidates"]] == ["000020", "000030"]
    assert "1 not finite: model.action_head.bias" in told["cautions"][0]
    assert f"warning {told['cautions'][0]}" in err
    assert read == ["000010", "000020", "000030"]  # and the one that is reported stays loaded


def test_a_zero_pilot_that_succeeds_makes_the_judge_worthless(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from bench.test_sweeps import rows

    from vibrissa.bench.outcomes import summarise
    from vibrissa.bench.sweep_page import wrong_with
    from vibrissa.commands.eval_told import exit_code

    beside = {"first, zero": summarise(rows("w.")), "second, zero": summarise(rows(".."))}
    (line,) = wrong_with([], beside)
    assert line.startswith("The zero pilot succeeds (first, zero). It never moves and is given 1/2")
    assert exit_code(rows("w"), 1) == 1
    assert "succeeded 1 times: the judge of this task is broken" in capsys.readouterr().err
    assert exit_code(rows("w"), 0) == 0
