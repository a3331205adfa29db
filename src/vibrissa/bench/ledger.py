"""Long work in phases that can be stopped anywhere and gone on with later."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vibrissa.core.errors import UsageError


class Ledger:
    """A JSON file that knows the settings, which phases are done, and what each has cost.

    Times add up over all calls; a phase that was interrupted counts what it has used. Settings
    are what the work was begun with: another call must ask for the same.
    """

    def __init__(self, file: Path, settings: Mapping[str, Any]):
        """Open or begin. Raises UsageError for a folder that is something else, or differs."""
        self._file, self._began_s = file, time.perf_counter()
        self._spent_s = 0.0
        self._seconds: dict[str, float] = {}
        self._done: list[str] = []
        if file.is_file():
            self._read(settings)
        elif file.parent.is_file() or (file.parent.is_dir() and any(file.parent.iterdir())):
            raise UsageError(
                f"{file.parent} is there already and was not begun by this command (it has no "
                f"{file.name}). Name another --out."
            )
        self._settings = dict(settings)
        self._write()

    def done(self, phase: str) -> bool:
        return phase in self._done

    @property
    def seconds(self) -> dict[str, float]:
        """What each phase has cost so far, in the order in which they were begun."""
        return dict(self._seconds)

    @property
    def wall_s(self) -> float:
        """Wall-clock time of all calls up to now."""
        return self._spent_s + time.perf_counter() - self._began_s

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times what is done inside; the phase is done when nothing is raised."""
        began_s = time.perf_counter()
        self._seconds.setdefault(name, 0.0)
        try:
            yield
            self._done += [name] if name not in self._done else []
        finally:
            self._seconds[name] += time.perf_counter() - began_s
            self._write()

    def _read(self, settings: Mapping[str, Any]) -> None:
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
            begun, self._done = dict(told["settings"]), list(told["done"])
            self._seconds, self._spent_s = dict(told["seconds"]), float(told["wall_s"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self._file} cannot be read ({error}). Name another --out, or remove it."
            ) from error
        names = sorted(set(begun) | set(settings))
        wants = json.loads(json.dumps(dict(settings)))
        differ = [n for n in names if begun.get(n) != wants.get(n)]
        if differ:
            was = ", ".join(f"{n} {begun.get(n)}" for n in differ)
            now = ", ".join(f"{n} {wants.get(n)}" for n in differ)
            raise UsageError(
                f"{self._file.parent} was begun with {was}, and this call asks for {now}. "
                "Ask for the same to go on with it, or name another --out."
            )

    def _write(self) -> None:
        told = {
            "settings": self._settings,
            "done": self._done,
            "seconds": self._seconds,
            "wall_s": self.wall_s,
        }
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}.part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            part.replace(self._file)
        except OSError as error:
            raise UsageError(f"cannot write {self._file}: {error.strerror}.") from error
