"""Where judged rows came from: their place, who was judged, and what that one was trained on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vibrissa.bench.demonstrations import seeds_of
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.setups import SLOTS, Place, learnt, place_for
from vibrissa.bench.trials import TRIAL, Trial, read_trial
from vibrissa.core.contract import depth_name
from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.core.seeds import HELD_OUT
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.features import OURS, SCENE_FILE
from vibrissa.learn.run import MANIFEST
from vibrissa.sim.rigs import RIGS
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.servo import STANDARD
from vibrissa.sim.tasks import task_names

DEMO = "demo.json"
START_NOISE_RAD = 0.2  # what `vibrissa record` has by itself


@dataclass(frozen=True)
class Source:
    """What a folder of rows tells; None and empty where it does not. again: see `Report.again`."""

    place: Place | None = None
    checkpoint: Path | None = None
    dataset: Dataset | None = None
    again: str = ""
    trial: Trial | None = None

    def setup(self, device: str) -> Setup | None:
        """Who was judged, ready to try again; None where it is not known.

        device: `auto` for that of the trial. Raises a VibrissaError where it cannot be had any
        more.
        """
        if self.trial is not None and (self.checkpoint is None or device == "auto"):
            return self.trial.setup(self.trial.load())
        if self.place is None or self.checkpoint is None:
            return None
        from vibrissa.learn.policy import load_policy
        from vibrissa.learn.preflight import device_named

        if self.trial is not None:
            trial = replace(self.trial, device=device_named(device))
            return trial.setup(trial.load())
        policy = load_policy(self.checkpoint, slots=SLOTS, device=device_named(device))
        return learnt(self.place, policy)


def source_of(folder: Path, task: str, dataset: Path | None = None) -> Source:
    """What `folder` tells of its rows, which are of `task`; `dataset` goes before the run's own.

    Raises DatasetError where a `dataset` that was named cannot be read.
    """
    if (folder / TRIAL).is_file():
        trial, _ = read_trial(folder)
        words = shlex.join(["vibrissa", "eval", "--from", str(folder)])
        again = f"{words} --only-seed {{seed}} --video films"
        found = _dataset(dataset, trial.checkpoint)
        return Source(trial.place, trial.checkpoint, found, again, trial)
    place = place_for(None, task=task) if task in task_names() else None
    checkpoint, again = None, ""
    if (folder / DEMO).is_file():
        settings = _read(folder / DEMO)["settings"]
        checkpoint = folder / "run"
        place = place_for(None, task=settings["task"], randomise=settings["randomise"])
        again = demo_again(folder, settings["task"], settings["randomise"])
    return Source(place, checkpoint, _dataset(dataset, checkpoint), again)


def demo_again(folder: Path, task: str, randomise: str) -> str:
    """The command that plays one episode of a demo again, with {seed} in it."""
    words = ["vibrissa", "eval", str(folder / "run"), "--task", task, "--randomise", randomise]
    return f"{shlex.join(words)} --alone --only-seed {{seed}} --video films"


def _dataset(named: Path | None, checkpoint: Path | None) -> Dataset | None:
    """As named, else what the checkpoint's run was trained on, where that is still there."""
    if named is not None:
        return open_dataset(named, strict=False)
    if checkpoint is None:
        return None
    here = checkpoint.resolve()
    run = next((p for p in (here, *here.parents) if (p / MANIFEST).is_file()), None)
    path = (
        _of_lerobot(here) if run is None else _read(run / MANIFEST).get("dataset", {}).get("path")
    )
    if path is None or not (Path(path) / "meta" / "info.json").is_file():
        return None
    return open_dataset(Path(path), strict=False)


def never_seen(checkpoint: Path | None, seeds: Sequence[int]) -> bool:
    """Whether no demonstration came from `seeds`, as far as somebody looked.

    They are held out, and each episode of the dataset that `checkpoint` was trained on has
    another seed noted. False where that dataset is not at hand or has no such notes. A pilot that
    nobody trained has no demonstrations.
    """
    if not seeds or min(seeds) < HELD_OUT:
        return False
    if checkpoint is None:
        return True
    try:
        dataset = _dataset(None, checkpoint)
        known = None if dataset is None else seeds_of(dataset)
    except (DatasetError, UsageError):
        return False
    return known is not None and not known & set(seeds)


def _of_lerobot(pretrained: Path) -> Path | None:
    """The dataset that a checkpoint of stock `lerobot-train` names."""
    from vibrissa.learn.checkpoint import named_dataset

    return named_dataset(pretrained)[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def scene_of(dataset: Dataset) -> SceneCfg | None:
    """The simulated scene it was recorded in; None for a real arm's, and for one of others."""
    path = dataset.root / OURS / SCENE_FILE
    raw = _read(path) if path.is_file() else {}
    return SceneCfg.from_dict(raw) if raw else None


def recorded_like(dataset: Dataset) -> list[str]:
    """The options with which a script records episodes that this simulated dataset takes."""
    words: list[str] = []
    measured = {camera.name for camera in dataset.contract.cameras if camera.depth}
    cameras = [camera for camera in dataset.contract.cameras if not camera.depth]
    if cameras:
        size = (str(cameras[0].width), str(cameras[0].height))
        words += ["--cameras", *(camera.name for camera in cameras), "--camera-size", *size]
    deep = [camera.name for camera in cameras if depth_name(camera.name) in measured]
    scene = scene_of(dataset)
    if scene is None:
        return words
    rig = _rig_of(scene)
    if rig:
        words += ["--rig", rig]
    elif deep:
        words += ["--depth", *deep]
    if scene.random.is_on:
        words += ["--randomise", scene.random.name]
    if scene.start_noise_rad != START_NOISE_RAD:
        words += ["--start-noise-rad", f"{scene.start_noise_rad:g}"]
    if scene.servo != STANDARD:
        words += ["--servo", "PROFILE"]  # whose file it was, nobody noted
    return words


def _rig_of(scene: SceneCfg) -> str:
    """The rig of its cameras by name, where it is not the usual one."""
    views = {camera.name: camera.fovy_deg for camera in scene.cameras}
    rigs = {
        name: {camera.name: camera.fovy_deg for camera in cameras} for name, cameras in RIGS.items()
    }
    return next((name for name, rig in rigs.items() if rig == views != rigs["rgb"]), "")
