"""The run folder: everything needed to repeat, resume and use a training run.

run.json  metrics.jsonl  checkpoints/000100/{pretrained_model, training_state}  checkpoints/last
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.core.errors import CheckpointError, UsageError

MANIFEST, METRICS, CHECKPOINTS, LAST = "run.json", "metrics.jsonl", "checkpoints", "last"
PRETRAINED, TRAINING_STATE = "pretrained_model", "training_state"
PACKAGES = ("vibrissa", "lerobot", "torch", "torchvision", "numpy", "av", "safetensors")


@dataclass(frozen=True)
class RunFolder:
    """One training run on disk."""

    path: Path

    @staticmethod
    def create(path: Path) -> RunFolder:
        """A new, empty run folder. Raises UsageError where something is already there."""
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise UsageError(
                f"{path} exists already. Choose another --out, or go on with --resume {path}."
            ) from error
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error.strerror}.") from error
        return RunFolder(path)

    @staticmethod
    def open(path: Path) -> RunFolder:
        """An existing run folder. Raises UsageError where there is none."""
        if not (path / MANIFEST).is_file():
            raise UsageError(f"{path} is no run folder: it has no {MANIFEST}.")
        return RunFolder(path)

    def manifest(self) -> dict[str, Any]:
        """What run.json says. Raises UsageError where it cannot be read."""
        try:
            return json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path / MANIFEST} cannot be read: {error}.") from error

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        write_json(self.path / MANIFEST, manifest)

    def add_metrics(self, row: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line cut short by a kill is left out."""
        file = self.path / METRICS
        return list(_whole_lines(file.read_text(encoding="utf-8"))) if file.is_file() else []

    def drop_metrics_after(self, step: int) -> None:
        """Forget the lines that a resumed run will write again."""
        kept = [row for row in self.metrics() if row["step"] <= step]
        write_text(self.path / METRICS, "".join(json.dumps(row) + "\n" for row in kept))

    def checkpoints(self) -> list[Path]:
        """The finished checkpoints, oldest first."""
        folder = self.path / CHECKPOINTS
        found = [p for p in folder.glob("*") if p.name.isdigit() and p.is_dir()]
        return sorted(found, key=lambda p: int(p.name))

    def last(self) -> Path | None:
        """The checkpoint that `checkpoints/last` points to, or None before the first."""
        pointer = self.path / CHECKPOINTS / LAST
        if pointer.is_file():  # where symbolic links are not allowed
            pointer = pointer.with_name(pointer.read_text(encoding="utf-8").strip())
        return pointer.resolve() if pointer.is_dir() else None

    def add_checkpoint(self, step: int, write: Callable[[Path], None], keep: int) -> Path:
        """Have `write(folder)` fill a checkpoint, give it its name, and drop the oldest.

        It is written under a temporary name and renamed when every byte is on the disk, so
        that a kill at any moment leaves only whole checkpoints.
        """
        folder = self.path / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        unfinished, finished = folder / f".writing-{step:06d}", folder / f"{step:06d}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        write(unfinished)
        sync(unfinished)
        if finished.exists():  # the same step again, after a resume
            shutil.rmtree(finished)
        unfinished.rename(finished)
        self._point_last_to(finished)
        for old in self.checkpoints()[:-keep]:
            if old != finished:
                shutil.rmtree(old)
        return finished

    def _point_last_to(self, checkpoint: Path) -> None:
        pointer, fresh = checkpoint.with_name(LAST), checkpoint.with_name(".last")
        fresh.unlink(missing_ok=True)
        try:
            fresh.symlink_to(checkpoint.name, target_is_directory=True)
        except OSError:  # Windows without the right to make links
            fresh.write_text(checkpoint.name, encoding="utf-8")
        fresh.replace(pointer)


def checkpoints_of(path: Path) -> list[Path]:
    """The checkpoints of a run that hold a model, also of stock LeRobot's, oldest first.

    Raises UsageError for what is no run.
    """
    if not (path / MANIFEST).is_file() and not (path / CHECKPOINTS).is_dir():
        raise UsageError(f"{path} is no run folder: it has neither {MANIFEST} nor {CHECKPOINTS}/.")
    found = RunFolder(path).checkpoints()
    return [one for one in found if (one / PRETRAINED / "config.json").is_file()]


def pretrained_folder(path: Path) -> Path:
    """The pretrained_model folder behind a run, a checkpoint or such a folder itself.

    Of a run, also of stock LeRobot, it is that of the last checkpoint. Raises CheckpointError
    where there is none.
    """
    if (path / MANIFEST).is_file():
        last = RunFolder(path).last()
        if last is None:
            raise CheckpointError(f"the run {path} has no checkpoint yet.")
        path = last
    elif (path / CHECKPOINTS / LAST).is_dir():  # a run of stock lerobot-train
        path = path / CHECKPOINTS / LAST
    elif (path / CHECKPOINTS).is_dir() and checkpoints_of(path):  # its link was not copied along
        path = checkpoints_of(path)[-1]
    if (path / PRETRAINED).is_dir():
        path = path / PRETRAINED
    if not (path / "config.json").is_file():
        raise CheckpointError(
            f"{path} is no run, no checkpoint and no pretrained_model folder: "
            "it has neither run.json nor config.json."
        )
    return path


def provenance() -> dict[str, Any]:
    """Versions, machine and commit, as they stand in run.json."""
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cpus": os.cpu_count(),
        },
        "git": _commit(Path(__file__).parent),
    }


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    fresh = file.with_name(f".{file.name}.writing")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def sync(folder: Path) -> None:
    """Return once every file in `folder` is on the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())


def _whole_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """The commit of the source tree, marked + where files differ; None outside of one."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() or None if told.returncode == 0 else None
