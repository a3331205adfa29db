"""`vibrissa deploy A --against B` and `vibrissa label`, from the first word to the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands.desk import press
from commands.test_deploy import SIMULATED, rig, run

from vibrissa import cli
from vibrissa.bench.outcomes import read_rows

__all__ = ["rig", "run"]  # fixtures


def both(run: Path) -> list[str]:
    steps = run / "checkpoints"
    return [str(steps / "000010"), "--against", str(steps / "000020")]


def pressed(monkeypatch: pytest.MonkeyPatch, presses: list[str | None]) -> None:
    press(monkeypatch, presses)


def test_on_the_simulated_arm_pairs_share_a_seed_and_the_end_tells_all(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*SIMULATED, "--fast", "--seconds", "0.3", "--order-seed", "5", "--out", str(out)]
    assert cli.main(["deploy", *both(run), *words, "--rollouts", "1"]) == 0
    assert cli.main(["deploy", *both(run), *words, "--rollouts", "3"]) == 1  # it was told
    assert "was revealed" in capsys.readouterr().err
    out = tmp_path / "more"
    words[-1] = str(out)
    assert cli.main(["deploy", *both(run), *words, "--rollouts", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("policy  A: ")
    assert lines[1].startswith("policy  B: ")
    assert any(line.startswith("n       3 rollouts know a rate near 80 %") for line in lines)
    trying = [line for line in lines if line.startswith("rollout ")]
    assert len(trying) == 6
    assert all(line.endswith("judged so far") for line in trying)
    assert lines[-1] == f"report  {out / 'report.html'}"
    assert f"compare vibrissa compare {out / 'A'} {out / 'B'}" in lines
    (paired,) = [line for line in lines if line.startswith("paired")]
    assert "3 pairs, 0 solved by A alone, 0 by B alone" in paired
    assert "not separated" in paired
    rows = read_rows(out / "outcomes.jsonl")
    assert [row.seed - rows[0].seed for row in rows] == [0, 0, 1, 1, 2, 2]
    assert all({a.pilot, b.pilot} == {"A", "B"} for a, b in zip(rows[::2], rows[1::2]))
    # the same placement: the object began where it did for the other policy
    assert all(a.spawn == b.spawn for a, b in zip(rows[::2], rows[1::2], strict=True))
    told = json.loads((out / "order.json").read_text())
    assert told["turns"] == [row.pilot for row in rows]


def test_the_policies_that_drove_are_those_that_the_order_says(run: Path, tmp_path: Path) -> None:
    """A blind A/B of a policy against itself is each rollout twice; of two, not."""
    words = [*SIMULATED, "--fast", "--seconds", "0.3", "--rollouts", "2", "--order-seed", "1"]
    one = str(run / "checkpoints" / "000010")
    alone = ["deploy", one, *SIMULATED, "--fast", "--seconds", "0.3", "--rollouts", "2"]
    assert cli.main([*alone, "--out", str(tmp_path / "alone")]) == 0
    assert cli.main(["deploy", *both(run), *words, "--out", str(tmp_path / "two")]) == 0
    known = read_rows(tmp_path / "alone" / "outcomes.jsonl")
    mine, theirs = (read_rows(tmp_path / "two" / n / "outcomes.jsonl") for n in "AB")
    assert [r.action_low for r in mine] == [r.action_low for r in known]
    assert all(a.action_low != b.action_low for a, b in zip(mine, theirs, strict=True))


def test_on_the_twin_it_is_labelled_blindly_and_told_when_all_is_said(
    run: Path,
    rig: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = str(tmp_path / "out")
    pressed(monkeypatch, ["right", None, "s", "d", "right", None, "right", "right", "f", "right"])
    words = ["--config", str(rig), "--device", "cpu", "--rollouts", "2", "--out", out]
    assert cli.main(["deploy", *both(run), *words, "--seconds", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "place the things anew, then → to begin" in said
    assert "put the things back just where they stood" in said
    assert "without a verdict: vibrissa label" in said
    rows = read_rows(Path(out) / "outcomes.jsonl")
    assert {row.pilot for row in rows} == {"hidden"}
    wanting = [row.failure_class for row in rows].count("UNLABELLED")
    assert wanting > 0
    pressed(monkeypatch, ["x", *["n"] * wanting, "right"])
    assert cli.main(["label", out]) == 0
    said = capsys.readouterr().out
    assert "no film of it" in said
    assert "paired  2 pairs" in said
    rows = read_rows(Path(out) / "outcomes.jsonl")
    assert {row.pilot for row in rows} == {"A", "B"}
    assert "NEVER_PICKED_UP" in {row.failure_class for row in rows}


def test_reveal_tells_before_it_is_over_and_labels_say_that_it_was_known(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ["--config", str(rig), "--device", "cpu", "--rollouts", "1", "--reset-seconds", "0"]
    assert cli.main(["deploy", *both(run), *words, "--seconds", "0.2", "--out", out]) == 0
    said = capsys.readouterr().out
    assert "paired" not in said
    assert "Who drove is told when all are tried and judged" in said
    assert cli.main(["label", out, "--reveal"]) == 0
    assert "paired  0 pairs" in capsys.readouterr().out
    assert cli.main(["label", out, "1", "missed-goal"]) == 0
    row = read_rows(Path(out) / "outcomes.jsonl")[0]
    assert (row.failure_class, row.reason) == ("MISSED_GOAL", "failure")
    assert row.detail == "labelled later, knowing who drove; was UNLABELLED"
    assert cli.main(["label", out, "1", "splendid"]) == 1
    assert "no verdict 'splendid'. There is: failure, success" in capsys.readouterr().err


def test_as_json_nothing_is_named_either(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(rig), "--device", "cpu", "--rollouts", "1", "--reset-seconds", "0"]
    more = ["--seconds", "0.2", "--out", str(tmp_path / "out"), "--json"]
    assert cli.main(["deploy", *both(run), *words, *more]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["blind"], told["rollouts"]) == (True, 2)
    assert set(told["first_look"]) == {"A", "B"}
    assert set(told) == {"blind", "first_look", "films", "out", "rollouts"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--reveal"], "--reveal and --order-seed are for two policies"),
        (["--order-seed", "3"], "--reveal and --order-seed are for two policies"),
        (["--against", "no/such/run"], "no/such/run is no run, no checkpoint"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    argv = ["deploy", str(run), *SIMULATED, *words, "--out", str(tmp_path / "out")]
    assert cli.main(argv) == 1
    assert line in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_one_policy_s_folder_has_nothing_to_reveal(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SIMULATED, "--fast", "--rollouts", "1", "--seconds", "0.2"]
    assert cli.main(["deploy", str(run), *words, "--out", str(tmp_path / "out")]) == 0
    assert cli.main(["label", str(tmp_path / "out"), "--reveal"]) == 1
    assert "nothing is hidden" in capsys.readouterr().err


def test_a_recording_names_the_policy_of_every_episode_once_it_is_told(
    run: Path, tmp_path: Path
) -> None:
    out, data = tmp_path / "out", tmp_path / "data"
    words = [*SIMULATED, "--fast", "--seconds", "0.3", "--order-seed", "3", "--rollouts", "2"]
    assert cli.main(["deploy", *both(run), *words, "--out", str(out), "--record", str(data)]) == 0
    lines = (data / "meta/vibrissa/episodes.jsonl").read_text().splitlines()
    notes = [json.loads(line) for line in lines]
    drivers = [row.pilot for row in read_rows(out / "outcomes.jsonl")]
    assert sorted(drivers) == ["A", "A", "B", "B"]
    assert [note["rollout"] for note in notes] == [1, 2, 3, 4]
    assert [note["driver"] for note in notes] == drivers
    steps = {"A": "000010", "B": "000020"}
    assert [Path(n["policy"]).parent.name for n in notes] == [steps[name] for name in drivers]
    (session,) = json.loads((data / "meta/vibrissa/recording.json").read_text())["sessions"]
    assert (session["checkpoint"], session["against"]) == (both(run)[0], both(run)[2])


def test_while_it_is_blind_a_recording_tells_nothing(
    run: Path, rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two rollouts one was judged; the other keeps it blind."""
    out, data = tmp_path / "out", tmp_path / "data"
    pressed(monkeypatch, [None, None, "s"])
    words = ["--config", str(rig), "--device", "cpu", "--rollouts", "1", "--reset-seconds", "0"]
    words += ["--seconds", "0.2", "--out", str(out), "--record", str(data)]
    assert cli.main(["deploy", *both(run), *words]) == 0
    file = data / "meta/vibrissa/episodes.jsonl"
    blind = file.read_text()
    assert '"rollout": 1' in blind
    assert "driver" not in blind
    assert "policy" not in blind
    assert cli.main(["label", str(out), "--reveal"]) == 0
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    rows = read_rows(out / "outcomes.jsonl")
    assert [note["driver"] for note in notes] == [row.pilot for row in rows]
