"""Draw recorded simulated episodes again: other cameras, fields of view, sizes or looks.

Pictures come from the states that were stored at every tick, not from a simulation run again.
The result is a new dataset whose numbers are those of the old one, row by row, and which says
what it was made from. Stopped halfway, it leaves nothing.
"""

from __future__ import annotations

import dataclasses
import json as json_
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.data.dataset import Dataset
    from vibrissa.data.rerecord import Seen
    from vibrissa.sim.redraw import Redraw
    from vibrissa.sim.sample import Sample
    from vibrissa.sim.scene import SceneCfg


@dataclass(frozen=True)
class Config:
    dataset: Annotated[Path, tyro.conf.Positional]
    """The recorded dataset's folder."""
    out: Path
    """The new dataset's folder; it must not exist yet."""
    cameras: tuple[str, ...] = ()
    """Cameras to draw, such as: overhead wrist. Those of the recording by default."""
    depth: tuple[str, ...] = ()
    """Cameras to draw with depth beside colours, each as <camera>_depth in metres."""
    camera_size: tuple[int, int] | None = None
    """Width and height of all pictures; as recorded by default."""
    fovy: tuple[str, ...] = ()
    """Vertical fields of view in degrees, such as: overhead=58 wrist=75."""
    randomise: str = ""
    """Looks drawn afresh for each episode: none, light or strong; as recorded by default."""
    scene: str = ""
    """Cameras, colours and surfaces of another scene: a task's name or YAML file, a scene.json, or
    a dataset with one."""
    json: bool = False
    """Print what was made as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.disk import require_absent
    from vibrissa.data.rerecord import require_states, rerecord
    from vibrissa.show.progress import progress
    from vibrissa.sim.redraw import Redraw
    from vibrissa.sim.views import of_cameras

    require_absent(cfg.out)
    dataset = open_dataset(cfg.dataset)
    names = require_states(dataset)
    began_s = time.monotonic()
    scene = _scene(cfg, dataset)
    cameras = of_cameras(scene, (*_cameras(cfg, dataset), *cfg.depth))
    _require_seen(cfg, cameras)
    drawn = Redraw(scene, cameras, _looks(cfg))
    if drawn.sim_state != names:
        raise UsageError(
            f"{cfg.dataset} stores {len(names)} numbers a state ({', '.join(names[:7])} …), and "
            f"its scene has {len(drawn.sim_state)}: it was recorded in another scene than it says."
        )
    seen = _seen(dataset, drawn)
    with progress(f"drawing {cfg.dataset.name}", dataset.frames, "frames") as tell:
        rerecord(dataset, cfg.out, seen, _changed(cfg), lambda done: tell(done, ""))
    _tell(cfg, dataset, seen, time.monotonic() - began_s)
    return 0


def _scene(cfg: Config, dataset: Dataset) -> SceneCfg:
    """The recorded scene, as it is to be seen now."""
    from vibrissa.sim import gl
    from vibrissa.sim.redraw import dressed_as, seen_through
    from vibrissa.sim.rigs import with_depth

    gl.require()
    scene = _stored_scene(dataset.root)
    if cfg.scene:
        scene = dressed_as(scene, _named_scene(cfg.scene))
    scene = dataclasses.replace(scene, cameras=with_depth(scene.cameras, cfg.depth))
    return seen_through(scene, size=cfg.camera_size, fovy_deg=_angles(cfg.fovy))


def _stored_scene(path: Path) -> SceneCfg:
    from vibrissa.data.features import OURS, SCENE_FILE
    from vibrissa.data.layout import read_json
    from vibrissa.sim.scene import SceneCfg

    file = path / OURS / SCENE_FILE if path.is_dir() else path
    return SceneCfg.from_dict(read_json(file))


def _named_scene(name: str) -> SceneCfg:
    from vibrissa.data.features import OURS, SCENE_FILE
    from vibrissa.sim.tasks import make_scene

    path = Path(name)
    if not (name.endswith(".json") or path.is_dir()):
        return make_scene(name)
    file = path / OURS / SCENE_FILE if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"--scene {name}: there is no file {file}. {_SCENES}")
    return _stored_scene(path)


_SCENES = "Want a task's name or YAML file, a scene.json, or a dataset with one."


def _angles(given: tuple[str, ...]) -> dict[str, float]:
    """`overhead=58` as {"overhead": 58.0}."""
    angles = {}
    for word in given:
        name, _, degrees = word.partition("=")
        if name in angles:
            raise UsageError(f"--fovy {' '.join(given)}: each camera once.")
        try:
            angles[name] = float(degrees)
        except ValueError:
            raise UsageError(
                f"--fovy {word}: want a camera and degrees, such as overhead=58."
            ) from None
    return angles


def _cameras(cfg: Config, dataset: Dataset) -> tuple[str, ...]:
    cameras = cfg.cameras or dataset.contract.camera_names or cfg.depth
    if not cameras:
        raise UsageError(
            f"{cfg.dataset} was recorded without pictures. Name what to draw: --cameras overhead "
            "wrist."
        )
    if len(set(cameras)) != len(cameras):
        raise UsageError(f"--cameras {' '.join(cameras)}: each one once.")
    return cameras


def _require_seen(cfg: Config, drawn: tuple[str, ...]) -> None:
    """A field of view for a camera that nobody draws would be forgotten without a word."""
    for name in _angles(cfg.fovy):
        if name not in drawn:
            raise UsageError(
                f"--fovy {name}: that camera is not drawn. Drawn: {', '.join(drawn)}; name others "
                "with --cameras."
            )


def _looks(cfg: Config) -> Any:
    from vibrissa.sim.randomise import preset

    return preset(cfg.randomise) if cfg.randomise else None


def _seen(dataset: Dataset, drawn: Redraw) -> Seen:
    """How `rerecord` gets at the pictures."""
    from vibrissa.data.features import SIM_STATE
    from vibrissa.data.rerecord import Seen
    from vibrissa.sim.sample import Sample

    notes = {note["episode"]: note for note in dataset.notes}

    def sample(episode: int) -> Sample:
        note = notes[episode]
        return drawn.sample(Sample.from_dict(note.get("sampled", {})), note["seed"])

    return Seen(
        cameras=drawn.cameras,
        scene=drawn.scene.to_dict(),
        pictures=lambda i: drawn.pictures(dataset.column(SIM_STATE)[dataset.rows(i)], sample(i)),
        sampled=lambda i: sample(i).to_dict(),
    )


def _changed(cfg: Config) -> Mapping[str, Any]:
    """What the lineage says: the options that were given."""
    given = {
        "cameras": list(cfg.cameras),
        "depth": list(cfg.depth),
        "camera_size": list(cfg.camera_size or ()),
        "fovy_deg": _angles(cfg.fovy),
        "randomise": cfg.randomise,
        "scene": Path(cfg.scene).name,
    }
    return {name: value for name, value in given.items() if value}


def _tell(cfg: Config, dataset: Dataset, seen: Seen, wall_s: float) -> None:
    cameras = [
        {"name": c.name, "width": c.width, "height": c.height, "fovy_deg": c.fovy_deg}
        for c in seen.cameras
    ]
    if cfg.json:
        told = {"out": str(cfg.out), "source": str(cfg.dataset), "source_digest": dataset.digest}
        counts = {"episodes": len(dataset.episodes), "frames": dataset.frames}
        print(json_.dumps({**told, **counts, "cameras": cameras, "wall_s": round(wall_s, 3)}))
        return
    drawn = dataset.frames * len(cameras)
    print(
        f"{len(dataset.episodes)} episodes, {dataset.frames} frames, {drawn} pictures drawn in "
        f"{wall_s:.0f} s ({drawn / max(wall_s, 1e-9):.0f} a second)",
        file=sys.stderr,
    )
    print(cfg.out)
