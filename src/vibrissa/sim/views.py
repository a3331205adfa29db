"""Which pictures the cameras of a scene give: colour, and depth beside it where one measures it.

A picture is known by its whole declared name. `overhead_depth` is the depth of `overhead` because
the scene says so, never because of its spelling: a camera may be called `my_depth_view`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vibrissa.core.contract import CameraSpec, depth_name
from vibrissa.core.episode import Picture
from vibrissa.core.errors import ContractError
from vibrissa.sim import pictures, senses
from vibrissa.sim.gl import mujoco
from vibrissa.sim.sample import Noise
from vibrissa.sim.scene import CameraCfg, SceneCfg


@dataclass(frozen=True)
class View:
    """One picture of one camera: its name, and whether it holds metres instead of colours."""

    name: str
    camera: CameraCfg
    depth: bool

    @property
    def spec(self) -> CameraSpec:
        """What the contract says of it."""
        camera = self.camera
        return CameraSpec(self.name, camera.width, camera.height, camera.fovy_deg, self.depth)


def views(cfg: SceneCfg) -> tuple[View, ...]:
    """Every picture of the scene, the depth of a camera right behind its colours."""
    return tuple(
        View(name, camera, depth=bool(place))
        for camera in cfg.cameras
        for place, name in enumerate(camera.pictures)
    )


def chosen(cfg: SceneCfg, names: bool | tuple[str, ...]) -> tuple[View, ...]:
    """All, none, or those named. Raises ContractError with the names that exist."""
    there = {view.name: view for view in views(cfg)}
    if isinstance(names, bool):
        return tuple(there.values()) if names else ()
    for name in names:
        if name not in there:
            raise ContractError(
                f"no camera {name!r}. This scene has: {', '.join(there) or 'none'}."
            )
    return tuple(there[name] for name in names)


def of_cameras(cfg: SceneCfg, asked: Sequence[str]) -> tuple[str, ...]:
    """The pictures of the cameras `asked` for: colours, and depth where it is measured.

    A name that is no camera's stays as it is: it may be a single picture's, or nobody's.
    """
    made = {camera.name: camera.pictures for camera in cfg.cameras}
    return tuple(dict.fromkeys(name for camera in asked for name in made.get(camera, (camera,))))


def look(
    cfg: SceneCfg,
    data: mujoco.MjData,
    camera: CameraCfg,
    noise: Noise | None,
    tick: int,
    *,
    depth: bool,
) -> dict[str, Picture]:
    """What `camera` gives now, by name: its colours and, of the same rendering, its depth.

    `noise` is that of the colours at `tick`; depth is measured without any.
    """
    size = camera.width, camera.height
    if not depth:
        seen = pictures.draw(cfg, data, camera.name, *size)
        return {camera.name: senses.picture(seen, noise, tick, camera.name)}
    seen, metres = pictures.draw_depth(cfg, data, camera.name, *size)
    return {
        camera.name: senses.picture(seen, noise, tick, camera.name),
        depth_name(camera.name): metres,
    }
