"""`vibrissa failures`: from an evaluation's folder to a page, and to a file that record takes."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from chromium import Browser, check_page
from data.recordings import contract
from data.recordings import record as recorded

from vibrissa import cli
from vibrissa.bench.demonstrations import demonstrations_of
from vibrissa.bench.outcomes import Row, RowFile
from vibrissa.control.targets import read_targets
from vibrissa.data.dataset import open_dataset


def corner(x: float, y: float) -> bool:
    return x > 0.23 and y > 0.235


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What an evaluation left: pick-place fails in one corner, and once by a fault."""
    file, rng = RowFile(tmp_path / "eval" / "outcomes.jsonl"), np.random.default_rng(0)
    for seed in range(2_000_000, 2_000_120):
        x, y = (float(v) for v in rng.uniform(-0.04, 0.04, 2) + (0.217, 0.225))
        spawn = (x, y, float(rng.uniform(-math.pi, math.pi)))
        bad = rng.uniform() < (0.9 if corner(x, y) else 0.02)
        kind, reason = ("NEVER_PICKED_UP", "timeout") if bad else ("SUCCESS", "success")
        measures = {"moved_tick": 100.0, "touched_tick": 90.0} if bad else {}
        ticks = 300 if bad else 150
        file.add(Row(seed, "policy", "pick-place", reason, kind, ticks, spawn, measures))
        file.add(Row(seed, "expert", "pick-place", "success", "SUCCESS", 150, spawn))
    file.add(Row(2_000_120, "policy", "pick-place", "fault", "FAULT", 3, detail="NaN"))
    return tmp_path / "eval"


def test_from_failures_to_demonstrations_where_they_are_missing(
    folder: Path, tmp_path: Path, capsys, chromium: Browser
) -> None:
    """The loop that a user makes: record, see where it fails, record there, look again."""
    out = tmp_path / "set"
    assert cli.main(["record", "--out", str(out), "--episodes", "6"]) == 0
    capsys.readouterr()
    assert cli.main(["failures", str(folder), "--dataset", str(out)]) == 0
    told = capsys.readouterr().out
    assert "of 120 episodes of policy failed" in told
    assert "Record demonstrations here: " in told
    parts = ["record", "map", "classes", "when", "limits", "class-NEVER_PICKED_UP"]
    check_page(chromium, folder / "failures.html", parts, tmp_path)
    page = (folder / "failures.md").read_text(encoding="utf-8")
    assert f"--targets {folder / 'targets.yaml'} --out {out} --resume" in page
    assert "1 more episode broke down" in page
    assert "--seeds 2000121" in page
    targets, _ = read_targets(folder / "targets.yaml")
    wanted = targets[0].count
    assert corner(targets[0].x_m + 0.008, targets[0].y_m + 0.008)
    argv = ["record", "--pilot", "expert", "--targets", str(folder / "targets.yaml")]
    assert cli.main([*argv, "--out", str(out), "--resume"]) == 0
    dataset = open_dataset(out)
    assert len(dataset.episodes) == 6 + sum(t.count for t in targets)
    for demonstration in demonstrations_of(dataset)[6 : 6 + wanted]:
        x, y, _ = demonstration.spawn
        away = math.hypot(x - targets[0].x_m, y - targets[0].y_m)
        assert away <= targets[0].spread_m + 0.001
    before = json.loads((folder / "failures.json").read_text())["advice"][0]["demonstrations"]
    capsys.readouterr()
    assert cli.main(["failures", str(folder), "--dataset", str(out), "--json"]) == 0
    after = json.loads(capsys.readouterr().out)["advice"][0]["demonstrations"]
    assert after >= before + wanted


def test_without_dataset_and_checkpoint_the_rows_alone_tell(folder: Path, capsys) -> None:
    assert cli.main(["failures", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((folder / "failures.json").read_text())
    assert told["demonstrations"] is None
    assert told["faults"] == 1
    assert told["advice"][0]["is_finding"]
    assert told["advice"][0]["target"]["count"] == 10


def test_no_failures_are_no_targets(tmp_path: Path, capsys) -> None:
    argv = ["eval", "--pilot", "expert", "--task", "lift", "--episodes", "3"]
    assert cli.main([*argv, "--out", str(tmp_path / "out")]) == 0
    (tmp_path / "out" / "targets.yaml").write_text("of an earlier call")
    assert cli.main(["failures", str(tmp_path / "out")]) == 0
    assert "0 of 3 episodes of expert failed" in capsys.readouterr().out
    assert not (tmp_path / "out" / "targets.yaml").exists()


def test_a_judged_pilot_leaves_the_ticks_of_its_failures(tmp_path: Path, capsys) -> None:
    argv = ["eval", "--pilot", "zero", "--task", "lift", "--episodes", "8"]
    assert cli.main([*argv, "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    assert cli.main(["failures", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["phases"] == {"never touched": 8}
    assert told["advice"] == []  # everything fails everywhere


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere holds no outcomes.jsonl"),
        (["{folder}", "--pilot", "ghost"], "no episodes of 'ghost'"),
        (["{folder}", "--dataset", "nowhere"], "nowhere"),
        (["{folder}", "--films", "-1"], "at least 0"),
        (["{sweep}"], "sweep holds no outcomes.jsonl. Its cells do: horizon=5 in "),
        (["{contest}"], "holds a, b. Say whose failures: --pilot a."),
        (["{blind}"], "it is not told yet which drove when. First: vibrissa label "),
        (["{unsaid}"], "nobody has said yet how the rollouts in "),
    ],
)
def test_bad_input_is_one_line(folder: Path, capsys, words: list[str], told: str) -> None:
    (folder.parent / "sweep" / "cells").mkdir(parents=True)
    shutil.copytree(folder, folder.parent / "sweep" / "cells" / "horizon=5")
    left = {"contest": ("a", "b", "TIMEOUT"), "blind": ("hidden", "hidden", "TIMEOUT")}
    left["unsaid"] = ("policy", "policy", "UNLABELLED")
    for name, (first, second, kind) in left.items():
        file = RowFile(folder.parent / name / "outcomes.jsonl")
        file.add(Row(1, first, "pick-place", "timeout", kind, 300))
        file.add(Row(2, second, "pick-place", "timeout", kind, 300))
    where = {name: folder.parent / name for name in ("sweep", *left)}
    assert cli.main(["failures", *(w.format(folder=folder, **where) for w in words)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_what_nobody_judged_is_no_failure(tmp_path: Path, capsys) -> None:
    """Rollouts of deploy that were never labelled say nothing of the policy."""
    file = RowFile(tmp_path / "out" / "outcomes.jsonl")
    file.add(Row(1, "policy", "pick-place", "failure", "FAILURE", 200))
    file.add(Row(2, "policy", "pick-place", "timeout", "UNLABELLED", 300))
    file.add(Row(3, "policy", "pick-place", "success", "SUCCESS", 200))
    assert cli.main(["failures", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["failures"], told["episodes"]) == (1, 2)


def test_a_wider_spawn_than_the_task_s_own_is_drawn_whole(tmp_path: Path, capsys) -> None:
    """As compare --spawn-half leaves it, which keeps no scene of its own beside the rows."""
    file, rng = RowFile(tmp_path / "out" / "outcomes.jsonl"), np.random.default_rng(1)
    for seed in range(120):
        x, y = (float(v) for v in rng.uniform(-0.08, 0.08, 2) + (0.217, 0.225))
        bad = x > 0.26 and y > 0.26
        kind, reason = ("MISSED_GOAL", "failure") if bad else ("SUCCESS", "success")
        file.add(Row(seed, "policy", "pick-place", reason, kind, 200, (x, y, 0.1)))
    assert cli.main(["failures", str(tmp_path / "out"), "--json"]) == 0
    advice = json.loads(capsys.readouterr().out)["advice"]
    assert advice[0]["is_finding"]
    assert advice[0]["target"]["x_m"] > 0.257  # the edge of the usual spawn
    assert advice[0]["target"]["y_m"] > 0.25


def test_a_real_arm_s_dataset_is_gone_on_with_by_whoever_leads_it(
    folder: Path, tmp_path: Path, capsys
) -> None:
    """The simulated expert must not be mixed into what a real arm recorded."""
    recorded(tmp_path / "set", contract(privileged=False), 1)
    (tmp_path / "set" / "meta" / "vibrissa" / "scene.json").write_text("{}")  # as a real arm has it
    words = ["--dataset", str(tmp_path / "set"), "--films", "0"]
    assert cli.main(["failures", str(folder), *words]) == 0
    (command,) = commands_of(folder)
    assert command == (
        f"vibrissa record --config rig.yaml --targets {folder / 'targets.yaml'} "
        f"--out {tmp_path / 'set'} --resume"
    )


def test_a_dataset_of_others_is_not_gone_on_with(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "set"
    assert cli.main(["record", "--out", str(out), "--episodes", "1"]) == 0
    shutil.rmtree(out / "meta" / "vibrissa")
    assert cli.main(["failures", str(folder), "--dataset", str(out), "--films", "0"]) == 0
    (command,) = commands_of(folder)
    assert command.endswith("--out more-demonstrations")


def commands_of(folder: Path) -> list[str]:
    """The commands of recording on the page."""
    lines = (folder / "failures.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("vibrissa record")]


def test_an_evaluation_is_played_again_and_its_demonstrations_found(
    debug_run: Path, tmp_path: Path, capsys, opengl: None
) -> None:
    """Scene, policy and dataset come from what eval and train left; the films are of its seeds."""
    out = tmp_path / "out"
    argv = ["eval", str(debug_run), "--episodes", "3", "--alone", "--device", "cpu"]
    assert cli.main([*argv, "--out", str(out)]) == 0
    capsys.readouterr()
    assert cli.main(["failures", str(out), "--films", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["failures"], told["episodes"], told["demonstrations"]) == (3, 3, 2)
    assert all(one["nearest"]["episode"] in (0, 1) for one in told["episodes_failed"])
    page = (out / "failures.html").read_text(encoding="utf-8")
    assert page.count("data:video/mp4;base64,") == sum(min(2, n) for n in told["classes"].values())
    text = (out / "failures.md").read_text(encoding="utf-8")
    assert f"vibrissa eval --from {out} --only-seed 2000000 --video films" in text
    assert "Pick up the block and place it in the bowl: 3 of 3 episodes of policy failed" in text


def test_a_checkpoint_that_is_gone_leaves_the_page_without_films(
    debug_run: Path, tmp_path: Path, capsys, opengl: None
) -> None:
    out = tmp_path / "out"
    argv = ["eval", str(debug_run), "--episodes", "2", "--alone", "--device", "cpu"]
    assert cli.main([*argv, "--out", str(out)]) == 0
    trial = json.loads((out / "eval.json").read_text())
    trial["checkpoint"] = str(tmp_path / "moved")
    (out / "eval.json").write_text(json.dumps(trial))
    assert cli.main(["failures", str(out)]) == 0
    text = (out / "failures.md").read_text(encoding="utf-8")
    assert "They cannot be played again: " in text
    assert "moved" in text


def test_the_command_records_what_the_dataset_takes(folder: Path, tmp_path: Path, capsys) -> None:
    """As it stands on the page, for a dataset that was not recorded with the usual options."""
    out = tmp_path / "a set"
    argv = ["record", "--out", str(out), "--episodes", "1", "--start-noise-rad", "0.1"]
    assert cli.main([*argv, "--randomise", "light"]) == 0
    assert cli.main(["failures", str(folder), "--dataset", str(out), "--films", "0"]) == 0
    (folder / "targets.yaml").write_text("targets:\n- {x_m: 0.21, y_m: 0.22}\n")
    (command,) = commands_of(folder)
    assert "--randomise light --start-noise-rad 0.1" in command
    assert cli.main(shlex.split(command)[1:]) == 0
    assert len(open_dataset(out).episodes) == 2
