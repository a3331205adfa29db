"""eval and deploy with what others trained: by stock LeRobot, or before there were contracts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data.recordings import contract
from data.recordings import record as recorded
from learn.strangers import aged, meta_only
from stock import save_tiny_act

from vibrissa import cli
from vibrissa.bench.outcomes import read_rows
from vibrissa.core.contract import CameraSpec
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.cameras import Ready
from vibrissa.twin.twin import Twin, TwinCfg

COMMANDS: dict[str, list[str]] = {
    "eval": ["eval", "--alone", "--episodes", "1", "--workers", "1"],
    "deploy": ["deploy", "--arm", "simulated", "--fast", "--rollouts", "1"],
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of ours (joints and the block's pose), and what stock LeRobot made of it."""
    folder = tmp_path_factory.mktemp("theirs")
    assert cli.main(["record", "--out", str(folder / "set"), "--episodes", "2"]) == 0
    model = folder / "run" / "checkpoints" / "000002" / "pretrained_model"
    save_tiny_act(folder / "set", model)
    told = {"dataset": {"repo_id": "local/set", "root": str(folder / "set")}}
    (model / "train_config.json").write_text(json.dumps(told))
    (folder / "run" / "checkpoints" / "last").symlink_to("000002")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_of_stock_lerobot_is_judged_and_drives_under_its_dataset_s_contract(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    out = str(tmp_path / "out")
    words = [*COMMANDS[command], str(theirs / "run"), "--device", "cpu"]
    assert cli.main([*words, "--out", out]) == 0
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [(row.task, row.reason) for row in rows] == [("pick-place", "timeout")]
    if command == "eval":  # its train_config.json says where the demonstrations are
        capsys.readouterr()
        assert cli.main(["failures", out, "--films", "0", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["demonstrations"] == 2


def test_what_is_known_better_is_given_to_compare_too(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the line that asks for the confirmation says."""
    stored = theirs / "run" / "checkpoints" / "000002" / "pretrained_model"
    model = Path(shutil.copytree(stored, tmp_path / "model"))
    (model / "train_config.json").unlink()
    meta = meta_only(theirs / "set", tmp_path / "meta")
    words = ["compare", str(model), "expert", "--task", "pick-place", "--device", "cpu"]
    words += ["--dataset", str(meta), "--given", "unit=deg", "rate=30"]
    assert cli.main(words) == 1
    err = capsys.readouterr().err
    assert "--given" in err.splitlines()[-1]
    assert any(line.split()[:4] == ["unit", "of", "joints", "deg"] for line in err.splitlines())
    digest = err.split("--accept-inferred ")[1].split(".")[0]
    assert cli.main([*words, "--accept-inferred", digest, "--episodes", "1"]) == 0


@pytest.mark.parametrize(("command", "old"), [("eval", True), ("deploy", False)])
def test_one_without_a_contract_wants_a_confirmation_of_what_was_inferred(
    theirs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    old: bool,
) -> None:
    stored = theirs / "run" / "checkpoints" / "000002" / "pretrained_model"
    if old:
        model = aged(stored, tmp_path / "old")
    else:
        model = Path(shutil.copytree(stored, tmp_path / "model"))
        (model / "train_config.json").unlink()
    meta = meta_only(theirs / "set", tmp_path / "meta", "v2.1" if old else "v3.0")
    words = [*COMMANDS[command], str(model), "--dataset", str(meta), "--task", "pick-place"]
    words += ["--device", "cpu", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 1
    out, err = capsys.readouterr()
    assert "unit of joints" in out + err
    assert "a guess" in out + err
    last = err.splitlines()[-1]
    assert last.startswith("vibrissa: Nothing was done with")
    assert not (tmp_path / "out").exists()
    digest = last.split("--accept-inferred ")[1].split(".")[0]
    assert cli.main([*words, "--accept-inferred", digest]) == 0
    assert len(read_rows(tmp_path / "out" / "outcomes.jsonl")) == 1
    wrong = [*words[:-1], str(tmp_path / "new"), "--given", "rate=10"]
    assert cli.main([*wrong, "--accept-inferred", digest]) == 1
    assert "is another inference's" in capsys.readouterr().err
    assert cli.main([*wrong, "--given", "rate=ten"]) == 1


def test_stock_lerobot_s_drives_the_twin_through_its_cameras(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vibrissa.real.arm.WARNING_S", 0.0)
    eyes = (CameraSpec("overhead", 160, 120), CameraSpec("wrist", 160, 120))
    recorded(tmp_path / "set", contract(eyes, privileged=False), 1)
    model = save_tiny_act(tmp_path / "set", tmp_path / "model")
    cfg = TwinCfg(camera_port=0)
    with Twin(tmp_path / "twin", make_scene("lift"), cfg, views=Ready(eyes, 20)) as twin:
        words = [str(model), "--dataset", str(tmp_path / "set"), "--device", "cpu"]
        words += ["--config", str(twin.folder / "rig.yaml"), "--seconds", "1", "--rollouts", "2"]
        words += ["--ensemble", "0.01"]  # chunks of four are too short for a slow computer
        # The tests' contract was never calibrated; the twin's cameras show grey steps alone.
        more = ["--reset-seconds", "0", "--accept", "calibration", "sight", "limits"]
        assert cli.main(["deploy", *words, *more, "--out", str(tmp_path / "out")]) == 0
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [row.failure_class for row in rows] == ["UNLABELLED"] * 2
    assert all(row.inferences > 0 for row in rows)


def test_a_checkpoint_is_chosen_of_a_run_of_stock_lerobot(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its checkpoints are like ours, and it has no run.json; the link to the last may be lost."""
    run = tmp_path / "run"
    for step in ("000002", "000004"):
        stored = theirs / "run" / "checkpoints" / "000002"
        shutil.copytree(stored, run / "checkpoints" / step)
    words = ["eval", str(run), "--all-checkpoints", "--episodes", "1", "--device", "cpu"]
    assert cli.main([*words, "--alone", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["cell"] for one in told["candidates"]] == ["000002", "000004"]
    assert told["picked"] == "000004"
    shutil.rmtree(run / "checkpoints" / "000002")
    assert cli.main(words) == 1
    assert "there is nothing to choose from" in capsys.readouterr().err
