"""The tasks by name, their scenes and their judges: `pick-place` and `lift`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Task
from vibrissa.sim.goals import RulesCfg, SiteCfg, SpawnCfg, SuccessCfg, TrayCfg
from vibrissa.sim.judge import Judge
from vibrissa.sim.rigs import OVERHEAD, WRIST, rig_named, with_depth
from vibrissa.sim.scene import CONTACTS, ObjectCfg, SceneCfg

HELD_TICKS = 10

BRICK = ObjectCfg("block", (0.032, 0.016, 0.0096), 0.030, symmetry=2, friction=0.6)
CUBE = ObjectCfg("cube", (0.015, 0.015, 0.015), 0.030, symmetry=4, friction=0.5)


@dataclass(frozen=True)
class TaskCfg:
    """One task: its scene at the usual site; the scene's rules say the rest."""

    scene: SceneCfg
    rules: RulesCfg

    @property
    def sites(self) -> Mapping[str, SpawnCfg]:
        """Where the object may start, the usual site first."""
        return {site.name: site.spawn for site in self.rules.sites}

    @property
    def max_ticks(self) -> int:
        return self.rules.max_ticks


def make_scene(
    task: str | TaskCfg,
    *,
    site: str = "",
    friction: str = "plausible",
    camera_size: tuple[int, int] | None = None,
    rig: str = "",
    depth: tuple[str, ...] = (),
    **overrides: Any,
) -> SceneCfg:
    """The scene of `task`, with some of its fields replaced.

    site: where the object starts, by name. friction: "plausible" or "sticky". camera_size:
    (width, height) of all pictures, see `CameraCfg.resized`. rig: other cameras than the task's
    own, by name, see `rigs`. depth: which cameras measure it. Everything else is a field of
    `SceneCfg`. Raises UsageError with the names that exist, ContractError for a bad scene.
    """
    cfg = task_named(task) if isinstance(task, str) else task
    spawn = _known("spawn site", site or next(iter(cfg.sites)), cfg.sites)
    contact = _known("friction", friction, CONTACTS)
    cameras = with_depth(rig_named(rig) if rig else cfg.scene.cameras, depth)
    if camera_size is not None:
        cameras = tuple(camera.resized(*camera_size) for camera in cameras)
    fields = {"spawn": spawn, "contact": contact, "cameras": cameras, **overrides}
    for name in fields:
        _known("field of a scene", name, {f.name: f for f in dataclasses.fields(SceneCfg)})
    return dataclasses.replace(cfg.scene, **fields)


def make_task(task: str, cfg: SceneCfg | None = None) -> Task:
    """The judge of `task` in a scene of it. Raises UsageError with the tasks that exist."""
    if cfg is not None and cfg.rules is not None and cfg.rules.name == task:
        return Judge(cfg, cfg.rules)
    known = task_named(task)
    return Judge(cfg or known.scene, known.rules)


def task_named(task: str) -> TaskCfg:
    """The task of this name, or the one that a file describes.

    Raises UsageError with the tasks that exist, or with what is wrong with the file.
    """
    from vibrissa.sim.task_file import load_task, shipped

    if task in TASKS:
        return TASKS[task]
    files = shipped()
    if task in files:
        return load_task(files[task])
    if task.endswith((".yaml", ".yml")):
        return load_task(Path(task))
    known = ", ".join([*TASKS, *files])
    raise UsageError(f"no task {task!r}. There is: {known}, or a file such as my-task.yaml.")


def task_recorded(scene: SceneCfg) -> TaskCfg | None:
    """The task that a stored scene was made for, as it is with nothing replaced; None for none.

    Pictures keep the stored size; whatever no task file can say takes its usual value.
    """
    rules = scene.rules
    if rules is None:
        return None
    plain = SceneCfg(
        object=scene.object,
        spawn=rules.sites[0].spawn,
        tray=scene.tray,
        cameras=scene.cameras,
        instruction=scene.instruction,
        rate_hz=scene.rate_hz,
        zone=scene.zone,
        base=scene.base,
        rules=rules,
    )
    return TaskCfg(plain, rules)


def task_names() -> list[str]:
    """The tasks that need no file of one's own."""
    from vibrissa.sim.task_file import shipped

    return [*TASKS, *shipped()]


def _task(scene: SceneCfg, rules: RulesCfg) -> TaskCfg:
    return TaskCfg(dataclasses.replace(scene, rules=rules), rules)


_PICK_PLACE_SITES = (
    SiteCfg("first", SpawnCfg((0.217, 0.225), 0.04)),
    SiteCfg("second", SpawnCfg((0.337, -0.015), 0.04)),  # for the test of generalisation
)
_LIFT_SITES = (
    SiteCfg("near", SpawnCfg((0.25, 0.0), 0.02)),
    SiteCfg("far", SpawnCfg((0.40, -0.10), 0.03)),
)

TASKS: dict[str, TaskCfg] = {
    # The block's centre over the tray, below 5 cm, and the gripper off it.
    "pick-place": _task(
        SceneCfg(
            object=BRICK,
            spawn=_PICK_PLACE_SITES[0].spawn,
            tray=TrayCfg((0.217, -0.225)),
            cameras=(OVERHEAD, WRIST),
            instruction="Pick up the block and place it in the bowl",
            rate_hz=30.0,
        ),
        RulesCfg(
            name="pick-place",
            max_ticks=300,
            success=SuccessCfg(HELD_TICKS, inside=True, below_m=0.05, released=True),
            sites=_PICK_PLACE_SITES,
        ),
    ),
    # The cube's centre above 8 cm, however it is held there.
    "lift": _task(
        SceneCfg(
            object=CUBE,
            spawn=_LIFT_SITES[0].spawn,
            tray=None,
            cameras=(OVERHEAD, WRIST),
            instruction="Lift the cube",
            rate_hz=10.0,
        ),
        RulesCfg(
            name="lift",
            max_ticks=100,
            success=SuccessCfg(HELD_TICKS, above_m=0.08),
            sites=_LIFT_SITES,
        ),
    ),
}


def _known[T](what: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise UsageError(f"no {what} {name!r}. There is: {', '.join(table)}.")
    return table[name]
