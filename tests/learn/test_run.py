from __future__ import annotations

from pathlib import Path

import pytest

from vibrissa.core.errors import CheckpointError, UsageError
from vibrissa.learn.run import RunFolder, pretrained_folder, provenance


def checkpoint(folder: Path) -> None:
    (folder / "pretrained_model").mkdir()
    (folder / "pretrained_model" / "config.json").write_text("{}")


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        RunFolder.create(tmp_path)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run folder: it has no run\.json"):
        RunFolder.open(tmp_path)


def test_last_follows_and_old_ones_go(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write_manifest({})
    assert run.last() is None
    for step in (10, 20, 30):
        run.add_checkpoint(step, checkpoint, keep=2)
        assert run.last() == (tmp_path / "run/checkpoints" / f"{step:06d}").resolve()
    assert [p.name for p in run.checkpoints()] == ["000020", "000030"]
    assert pretrained_folder(tmp_path / "run").parent.name == "000030"


def test_without_links_last_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    run = RunFolder.create(tmp_path / "run")
    run.add_checkpoint(10, checkpoint, keep=2)
    run.add_checkpoint(20, checkpoint, keep=2)
    last = run.last()
    assert last is not None
    assert last.name == "000020"
    assert not (tmp_path / "run/checkpoints/last").is_symlink()


def test_a_checkpoint_that_fails_has_no_name(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        checkpoint(folder)
        raise OSError("No space left on device")

    run = RunFolder.create(tmp_path / "run")
    run.add_checkpoint(10, checkpoint, keep=2)
    with pytest.raises(OSError, match="No space"):
        run.add_checkpoint(20, half, keep=2)
    assert [p.name for p in run.checkpoints()] == ["000010"]
    run.add_checkpoint(20, checkpoint, keep=2)  # and the remains do not stand in the way
    assert [p.name for p in run.checkpoints()] == ["000010", "000020"]


def test_metrics_survive_a_line_cut_short(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    for step in (5, 10, 15):
        run.add_metrics({"step": step, "loss": 1.0})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "lo')
    assert [row["step"] for row in run.metrics()] == [5, 10, 15]
    run.drop_metrics_after(10)
    run.add_metrics({"step": 15, "loss": 2.0})
    assert [row["step"] for row in run.metrics()] == [5, 10, 15]


def test_what_is_no_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run, no checkpoint"):
        pretrained_folder(tmp_path)
    run = RunFolder.create(tmp_path / "run")
    run.write_manifest({})
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        pretrained_folder(tmp_path / "run")


def test_provenance_names_versions_and_machine() -> None:
    told = provenance()
    assert told["versions"]["lerobot"] == "0.6.1"
    assert told["machine"]["cpus"] >= 1
