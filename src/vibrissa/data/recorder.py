"""The recorder watches episodes and leaves a LeRobot v3.0 dataset.

It writes under a temporary name and renames at `close`, so that what bears the final name is
whole. Beside LeRobot's files, in `meta/vibrissa/`, lie the contract, the scene, and a line for
each episode: its seed, how it ended, what the task measured, and what was randomised how.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.errors import DatasetError
from vibrissa.data.disk import require_absent, uninterrupted, writing
from vibrissa.data.features import (
    CONTRACT_FILE,
    EPISODES_FILE,
    OURS,
    SCENE_FILE,
    Row,
    columns_of,
    row_of,
    stored_contract,
)
from vibrissa.data.film import Film, check_size
from vibrissa.data.writer import Writer, whole_fps

RECORDING_FILE = "recording.json"


def finished(episode: Episode) -> bool:
    """Episodes that came to an end of their own: neither interrupted nor broken off by a fault."""
    return episode.outcome.reason not in ("aborted", "fault")


def successful(episode: Episode) -> bool:
    """What a demonstration has to be."""
    return episode.outcome.success


class Recorder:
    """Records the episodes for which `keep` is true into the dataset folder `out`.

    One recorder follows one arm, episode after episode. Use it as a context manager, or call
    `close`: episodes finished before an interruption are then a whole dataset. `patience_s` is
    how long a tick may wait for a video encoder that is behind.

    Raises DatasetError where `out` exists, where a camera or a rate cannot be stored, and where
    the disk refuses; nothing is then left under `out`.
    """

    def __init__(
        self,
        out: Path,
        *,
        keep: Callable[[Episode], bool] = finished,
        patience_s: float = 60.0,
    ):
        self.out = Path(out)
        self.kept, self.discarded, self.frames = 0, 0, 0
        self._keep, self._patience_s = keep, patience_s
        self._start: Start | None = None
        self._writer: Writer | None = None
        self._rows: list[Row] = []
        self._films: dict[str, Film] = {}
        self._torn = self._closed = False
        require_absent(self.out)
        with writing(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{self.out.name}.partial-"
            self._partial = Path(tempfile.mkdtemp(prefix=prefix, dir=self.out.parent))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def on_start(self, start: Start) -> None:
        """Make room for an episode; the first one tells what is recorded at all."""
        with writing(self.out):
            if self._writer is None:
                self._writer = self._begin(start)
            elif self._start is not None and start.contract.digest != self._start.contract.digest:
                raise DatasetError(f"{self.out} is recorded under one contract; this is another.")
            self._start, self._rows = start, []
            self._films = {
                camera.name: Film(
                    self._writer.film_path(camera.name), camera, self._writer.fps, self._patience_s
                )
                for camera in start.contract.cameras
            }

    def on_step(self, step: Step) -> None:
        """Copy this tick's numbers and pictures."""
        with writing(self.out):
            for name, film in self._films.items():
                film.add(step.observation.images[name])
            self._rows.append(row_of(step))

    def on_end(self, episode: Episode) -> None:
        """Write the episode if it is to be kept, forget it otherwise."""
        with uninterrupted(), writing(self.out):
            if self._torn or not self._rows or not self._keep(episode):
                self.discarded += 1
                self._drop()
                return
            self._torn = True  # until every file knows of this episode
            self._write(episode)
            self._torn = False

    def close(self) -> Path | None:
        """Finish the files and give them their name; None where no episode was kept."""
        if self._closed:
            return self.out if self.kept else None
        self._closed = True
        try:
            with uninterrupted(), writing(self.out):
                self._drop()
                if self._writer is None or not self.kept or self._torn:
                    return None
                return self._publish(self._writer)
        finally:
            if self._writer is not None:
                self._writer.abandon()
            shutil.rmtree(self._partial, ignore_errors=True)

    def _begin(self, start: Start) -> Writer:
        for camera in start.contract.cameras:
            check_size(camera)
        whole_fps(start.contract)
        writer = Writer(self._partial / self.out.name, start.contract, start.sim_state)
        ours = writer.root / OURS
        ours.mkdir(parents=True)
        write_json(ours / CONTRACT_FILE, stored_contract(start.contract).to_dict())
        write_json(ours / SCENE_FILE, start.scene)
        return writer

    def _write(self, episode: Episode) -> None:
        assert self._writer is not None  # on_start has run
        shots = {name: film.finish() for name, film in self._films.items()}
        for film in self._films.values():
            if film.frames != len(self._rows):
                raise DatasetError(
                    f"{film.camera.name}: {film.frames} pictures for {len(self._rows)} rows."
                )
        columns = columns_of(episode.start.contract, self._rows)
        instruction = episode.start.instruction or episode.start.task
        index = self._writer.add_episode(columns, instruction, shots)
        with (self._writer.root / OURS / EPISODES_FILE).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(told(index, episode)) + "\n")
        self.kept += 1
        self.frames += len(self._rows)
        self._rows, self._films = [], {}

    def _drop(self) -> None:
        for film in self._films.values():
            film.cancel()
        self._rows, self._films = [], {}

    def _publish(self, writer: Writer) -> Path:
        counts = {"kept": self.kept, "discarded": self.discarded, "frames": self.frames}
        write_json(writer.root / OURS / RECORDING_FILE, counts)
        writer.close()
        require_absent(self.out)
        os.rename(writer.root, self.out)
        return self.out


def told(index: int, episode: Episode) -> dict[str, Any]:
    """An episode's line in `episodes.jsonl`."""
    outcome = episode.outcome
    return {
        "episode": index,
        "seed": episode.seed,
        "task": episode.start.task,
        "reason": outcome.reason,
        "failure_class": outcome.failure_class,
        "detail": outcome.detail,
        "ticks": outcome.ticks,
        "wall_s": round(episode.wall_s, 3),
        "measures": {name: float(value) for name, value in outcome.measures.items()},
        "sampled": dict(episode.start.sampled),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, sort_keys=True, default=_plain)
    path.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Numpy values as JSON has them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
