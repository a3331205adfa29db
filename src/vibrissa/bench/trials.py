"""Who was tried where, as `eval.json` keeps it: with a seed, all that an episode comes from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibrissa.bench.evaluate import Setup
from vibrissa.bench.growth import PLANNED, asked_now, planned
from vibrissa.bench.options import PilotOptions
from vibrissa.bench.outcomes import RowFile
from vibrissa.bench.row_folder import TRIAL
from vibrissa.bench.setups import PILOTS, SLOTS, Place, learnt, scripted
from vibrissa.core.contract import Contract
from vibrissa.core.errors import UsageError, VibrissaError
from vibrissa.sim.scene import SceneCfg

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.learn.policy import CheckpointPolicy

SWEEP, OUTCOMES, CELLS = "sweep.json", "outcomes.jsonl", "cells"
FORMAT = 1
POLICY = "policy"
_UNCOMPARED = ("versions", "what", PLANNED)  # told, but no reason to refuse a folder
MOST_TOLD = 4  # differences, of which a line names so many


@dataclass(frozen=True)
class Trial:
    """One pilot in one place. checkpoint: the pretrained_model folder; None of a scripted pilot.

    weights: the digest of the checkpoint's files, so that another one under the same path is
    found out. contract: what its numbers mean, for one that does not carry it.
    """

    place: Place
    pilot: str = POLICY
    options: PilotOptions = field(default_factory=PilotOptions)
    checkpoint: Path | None = None
    weights: str = ""
    contract: Contract | None = None
    device: str = "cpu"

    @property
    def name(self) -> str:
        """What the rows call this pilot."""
        return self.options.name(self.pilot)

    def load(self) -> CheckpointPolicy | None:
        """The policy; None of a scripted pilot. Raises CheckpointError, UsageError: another one."""
        if self.checkpoint is None:
            return None
        if self.weights and weights_of(self.checkpoint) != self.weights:
            raise UsageError(
                f"{self.checkpoint} is no longer the checkpoint that was judged: its files differ."
            )
        from vibrissa.learn.policy import load_policy

        return load_policy(self.checkpoint, slots=SLOTS, device=self.device, dataset=self.contract)

    def setup(self, policy: CheckpointPolicy | None) -> Setup:
        """The same, ready to be judged with the `policy` that `load` gave."""
        options = self.options
        if policy is None:
            return scripted(self.place, self.pilot, grip=options.grip)
        return learnt(
            self.place,
            policy,
            horizon=options.horizon,
            ensemble=options.ensemble,
            grip=options.grip,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "pilot": self.pilot,
            "options": self.options.text,
            "checkpoint": str(self.checkpoint or ""),
            "weights": self.weights,
            "contract": None if self.contract is None else self.contract.to_dict(),
            "device": self.device,
            "task": self.place.task,
            "cameras": list(self.place.cameras),
            "scene": self.place.scene.to_dict(),
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Trial:
        """The inverse of `to_dict`. Raises UsageError for another format or an unknown pilot."""
        if raw["format"] != FORMAT or raw["pilot"] not in (*PILOTS, POLICY):
            raise UsageError(f"format {raw['format']}, pilot {raw['pilot']!r} are not known here")
        scene = SceneCfg.from_dict(raw["scene"])
        return Trial(
            Place(raw["task"], scene, tuple(raw["cameras"])),
            raw["pilot"],
            PilotOptions.parse(raw["options"]),
            Path(raw["checkpoint"]) if raw["checkpoint"] else None,
            raw["weights"],
            Contract.from_dict(raw["contract"]) if raw["contract"] else None,
            raw["device"],
        )

    def of(self, checkpoint: Path) -> Trial:
        """The same with another folder of weights; which they are is looked up now."""
        return replace(self, checkpoint=checkpoint, weights=weights_of(checkpoint))


class Loader:
    """Setups for trials one after another, the first one with its `policy`.

    A checkpoint stays loaded while it is asked for.
    """

    def __init__(self, trial: Trial, policy: CheckpointPolicy | None) -> None:
        self._key, self._policy = self._who(trial), policy

    def __call__(self, trial: Trial) -> Setup:
        if trial.checkpoint is None:
            return trial.setup(None)
        key = self._who(trial)
        if key != self._key:
            self._key, self._policy = (), None  # two of them need not fit into memory
            self._policy = trial.load()
            self._key = key
        return trial.setup(self._policy)

    @staticmethod
    def _who(trial: Trial) -> tuple[Any, ...]:
        return trial.checkpoint, trial.weights, trial.device


def weights_of(checkpoint: Path) -> str:
    """A digest of the files of a pretrained_model folder. Raises UsageError: not to be read."""
    whole = hashlib.sha256()
    try:
        for path in sorted(p for p in checkpoint.iterdir() if p.is_file()):
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.name} {part}\n".encode())
    except OSError as error:
        raise UsageError(f"{checkpoint} cannot be read: {error.strerror}.") from error
    return whole.hexdigest()[:16]


def open_rows(folder: Path, trial: Trial, versions: Mapping[str, str]) -> RowFile:
    """The rows that `folder` holds of this very trial, to be gone on with; none of a new folder.

    Raises UsageError where the folder is something else or holds another trial.
    """
    require_same(folder, trial.to_dict(), versions, TRIAL)
    return RowFile(folder / OUTCOMES)


def plan(folder: Path, many: int, there: int) -> list[int]:
    """Note that `folder` is to hold `many` episodes; all numbers that were ever asked for.

    there: how many it holds. Raises UsageError for a disk that refuses.
    """
    raw = read_json(folder / TRIAL)
    numbers = asked_now(planned(raw), many, there)
    if numbers != raw.get(PLANNED):
        _write_json(folder / TRIAL, {**raw, PLANNED: numbers})
    return numbers


def require_same(
    folder: Path, told: Mapping[str, Any], versions: Mapping[str, str], name: str
) -> None:
    """Begin `folder` with a file `name` that says `told`, or see that it says so already."""
    file, told = folder / name, json.loads(json.dumps(dict(told)))
    if file.is_file():
        differ = _differences(read_json(file), told)
        if differ:
            more = [f"and {len(differ) - MOST_TOLD} more"] if len(differ) > MOST_TOLD else []
            words = "; ".join(differ[:MOST_TOLD] + more)
            raise UsageError(
                f"{folder} holds something else ({words}). Ask for the same to go on with it, or "
                "name another folder."
            )
        return
    require_new(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.") from error
    _write_json(file, {**told, "versions": dict(versions)})


def _write_json(file: Path, told: Mapping[str, Any]) -> None:
    """Whole or not at all. Raises UsageError."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        os.replace(part, file)
    except OSError as error:
        raise UsageError(f"{file.parent} cannot be made: {error.strerror}.") from error


def require_new(folder: Path, flag: str = "--out") -> None:
    """Raise UsageError where something is in `folder` already."""
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise UsageError(f"{flag} {folder} is there already and not empty. Name another one.")


def read_trial(folder: Path) -> tuple[Trial, dict[str, str]]:
    """The trial of an evaluation's folder, and the versions that ran it.

    Raises UsageError where the folder holds none.
    """
    file = folder / TRIAL
    if not file.is_file():
        cells = sorted(p.parent.name for p in folder.glob(f"{CELLS}/*/{TRIAL}"))
        more = f" A sweep's cells do: {', '.join(cells)} in {folder / CELLS}." if cells else ""
        raise UsageError(f"{folder} holds no evaluation: it has no {TRIAL}.{more}")
    raw = read_json(file)
    try:
        return Trial.from_dict(raw), dict(raw.get("versions", {}))
    except (KeyError, TypeError, ValueError, VibrissaError) as error:
        raise UsageError(f"{file} cannot be used ({error}).") from error


def read_sweep(folder: Path) -> dict[str, Any]:
    """What a sweep was asked for, as `require_same` began it. Raises UsageError."""
    return read_json(folder / SWEEP)


def read_json(file: Path) -> dict[str, Any]:
    """What a JSON file of a folder tells. Raises UsageError where it cannot be read."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{file} cannot be read ({error}).") from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], under: str = "") -> list[str]:
    """What differs, each as `scene.spawn.half_m 0.04, now 0.08`."""
    found: list[str] = []
    for key in (k for k in {**before, **now} if k not in _UNCOMPARED):
        was, is_ = before.get(key), now.get(key)
        if isinstance(was, Mapping) and isinstance(is_, Mapping):
            found += _differences(was, is_, f"{under}{key}.")
        elif was != is_:
            found.append(f"{under}{key} {_short(was)}, now {_short(is_)}")
    return found


def _short(value: Any, most: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else "another one"


SetupOf = Callable[[Trial], Setup]
