"""`vibrissa train` and `vibrissa openloop` as one types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data.recordings import contract, edit, record

from vibrissa.cli import main


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("with space") / "d", contract(), 2)


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    told = capsys.readouterr()
    return told.out, told.err


def test_train_resume_and_open_loop(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    base = ["--threads", "1", "--device", "cpu"]
    assert main(["train", "debug", str(dataset), "--out", run, "--steps", "10", *base]) == 0
    out, _ = lines(capsys)
    assert "step 5/10  loss" in out
    assert out.strip().endswith("000010")
    assert main(["train", "--resume", run, "--steps", "12", "--json", *base]) == 0
    out, err = lines(capsys)
    assert json.loads(out)["step"] == 12
    assert "Going on from" in err
    assert main(["openloop", run, str(dataset), "--json"]) == 0
    assert len(json.loads(lines(capsys)[0])["joints"]) == 6
    assert main(["openloop", run, str(dataset)]) == 0
    assert "of the mean action's" in lines(capsys)[0]


def test_a_run_without_a_checkpoint_starts_afresh_and_says_so(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "debug", str(dataset), "--out", str(run), "--steps", "2"]) == 0
    shutil.rmtree(run / "checkpoints")
    assert main(["train", "--resume", str(run)]) == 0
    assert "has no checkpoint: starting afresh" in lines(capsys)[0]
    assert (run / "checkpoints/000002").is_dir()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ["nonsense", "D", "--out", "O"],
            "no recipe 'nonsense'. There is: act-state, act, act-full, debug",
        ),
        (["debug", "missing", "--out", "O"], "missing"),
        (["debug", "D"], "vibrissa train RECIPE DATASET --out RUN"),
        (["debug", "D", "--out", "."], "exists already"),
        (["debug", "D", "--out", "O", "--device", "cuda:77"], "no device 'cuda:77'"),
        (["debug", "D", "--out", "O", "--steps", "0"], "steps 0"),
        (["debug", "D", "--out", "O", "--accept", "stats"], "stats is no finding of a dataset"),
        (["debug", "D", "--out", "O", "--accept", "statistics"], "statistics cannot be accepted"),
        (["--resume", "missing"], "no run folder"),
        (["--resume", "missing", "--lr", "1"], "takes no lr"),
    ],
)
def test_what_is_wrong_is_one_line(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *[str(dataset) if a == "D" else a for a in args]]) == 1
    _, err = lines(capsys)
    assert told in err
    assert err.count("\n") == 1
    assert not (tmp_path / "O").exists()


TWO = ["--steps", "2", "--device", "cpu", "--threads", "1"]


def edit_stats(root: Path, key: str, kind: str, factor: float) -> None:
    path = root / "meta" / "stats.json"
    stats = json.loads(path.read_text())
    stats[key][kind] = [factor * value for value in stats[key][kind]]
    path.write_text(json.dumps(stats))


def test_what_is_not_as_it_was_recorded_is_refused_before_anything_is_made(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    edit_stats(copy, "action", "std", 0.02)
    out = tmp_path / "run"
    assert main(["train", "debug", str(copy), "--out", str(out), *TWO]) == 1
    _, err = lines(capsys)
    assert err.count("\n") == 1
    assert "contradicts the rows" in err
    assert "recompute_stats" in err
    assert not out.exists()


def test_what_may_be_meant_is_trained_on_when_it_is_accepted(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    edit_stats(copy, "action", "count", 0.5)
    out = str(tmp_path / "run")
    assert main(["train", "debug", str(copy), "--out", out, *TWO]) == 1
    assert "give --accept stale-statistics" in lines(capsys)[1]
    assert main(["train", "debug", str(copy), "--out", out, "--accept", "rate", *TWO]) == 1
    words = ["--accept", "rate", "--accept", "stale-statistics"]
    assert main(["train", "debug", str(copy), "--out", out, *words, *TWO]) == 0
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["dataset"]
    assert kept["accepted"] == ["rate", "stale-statistics"]
    assert main(["train", "--resume", out, "--steps", "3"]) == 0  # what was accepted stays so


def test_a_warning_is_printed_once_and_trained_on(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    edit(copy, "timestamp", lambda times: times * 30 / 18.5)
    assert main(["train", "debug", str(copy), "--out", str(tmp_path / "run"), *TWO]) == 0
    out, _ = lines(capsys)
    assert out.count("warning: rows came at 18.5 a second") == 1
    words = ["--accept", "rate", *TWO]
    assert main(["train", "debug", str(copy), "--out", str(tmp_path / "again"), *words]) == 0
    assert "warning:" not in lines(capsys)[0]
