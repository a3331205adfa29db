"""Where judged rows came from: their place, who was judged, and what that one was trained on."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.bench.evaluate import Setup
from vibrissa.bench.setups import SLOTS, Place, learnt, place_for
from vibrissa.bench.trials import TRIAL, Trial, read_trial
from vibrissa.core.errors import UsageError
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.features import OURS, SCENE_FILE
from vibrissa.learn.run import MANIFEST
from vibrissa.sim.scene import SceneCfg
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

        Raises a VibrissaError where it cannot be had any more.
        """
        if self.trial is not None:
            return self.trial.setup(self.trial.load())
        if self.place is None or self.checkpoint is None:
            return None
        from vibrissa.learn.policy import load_policy
        from vibrissa.learn.preflight import device_named

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
    if run is None:
        return None
    path = Path(str(_read(run / MANIFEST).get("dataset", {}).get("path", "")))
    return open_dataset(path, strict=False) if (path / "meta" / "info.json").is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def recorded_like(dataset: Dataset) -> list[str]:
    """The options with which a script records episodes that this dataset takes."""
    words: list[str] = []
    cameras = [camera for camera in dataset.contract.cameras if not camera.depth]
    if cameras:
        size = (str(cameras[0].width), str(cameras[0].height))
        words += ["--cameras", *(camera.name for camera in cameras), "--camera-size", *size]
    path = dataset.root / OURS / SCENE_FILE
    if not path.is_file():
        return words
    scene = SceneCfg.from_dict(_read(path))
    if scene.random.is_on:
        words += ["--randomise", scene.random.name]
    if scene.start_noise_rad != START_NOISE_RAD:
        words += ["--start-noise-rad", f"{scene.start_noise_rad:g}"]
    return words
