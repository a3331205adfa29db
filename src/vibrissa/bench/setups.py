"""Who can be judged where: scripted pilots and checkpoints, in the scenes of our tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from vibrissa.bench.charts import Landmark, Square
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.options import PilotOptions
from vibrissa.control.grip import GripChange, OtherGrip
from vibrissa.control.pilots import Random, Zero
from vibrissa.core.contract import Contract
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.core.protocols import Arm, Pilot
from vibrissa.sim import gl
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.goals import SpawnCfg
from vibrissa.sim.randomise import preset
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.servo import STANDARD, ServoCfg
from vibrissa.sim.tasks import (
    TASKS,
    TaskCfg,
    make_scene,
    make_task,
    task_named,
    task_names,
    task_recorded,
)

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.learn.policy import CheckpointPolicy

PILOTS = ("expert", "zero", "random")
MOST_SPAWN_M = 0.5
SLOTS = 8  # rows that a policy is loaded with; `learnt` gives it the batches that suit it


@dataclass(frozen=True)
class Place:
    """Where it is judged: a task, its scene, and the cameras the arm has."""

    task: str
    scene: SceneCfg
    cameras: tuple[str, ...] = ()

    def make_arm(self) -> SimArm:
        return SimArm(self.scene, cameras=self.cameras)

    def landmarks(self) -> dict[str, Landmark]:
        """The goal, for the report's map: a tray, a zone, or where the block to stack on starts."""
        scene = self.scene
        if scene.tray is not None:
            return {"tray": (*scene.tray.centre_m, scene.tray.half_m)}
        if scene.zone is not None:
            zone = scene.zone
            return {"zone": (*zone.centre_m, *zone.half_m, zone.yaw_rad)}
        if scene.base is not None:
            spawn = scene.base.spawn
            return {scene.base.name: (*spawn.centre_m, spawn.half_m)}
        return {}

    def area(self) -> Square:
        """The square in which the object starts."""
        return (*self.scene.spawn.centre_m, self.scene.spawn.half_m)


def scripted(place: Place, pilot: str, *, grip: GripChange | None = None) -> Setup:
    """The expert, the zero or the random pilot. Raises UsageError for another name."""
    if pilot not in PILOTS:
        raise UsageError(f"no pilot {pilot!r}. There is: {', '.join(PILOTS)}.")
    options = PilotOptions(grip=grip or GripChange())
    make = partial(_script, place.scene, pilot, options.grip)
    make_judge = partial(make_task, place.task, place.scene)
    return Setup(options.name(pilot), place.make_arm, make_judge, make)


def learnt(
    place: Place,
    policy: CheckpointPolicy,
    *,
    horizon: int | None = None,
    ensemble: float | None = None,
    grip: GripChange | None = None,
    slots: int = 0,
    beside: bool = False,
) -> Setup:
    """A checkpoint's policy, in batches of as many rows as suit it on its device.

    slots: arms side by side, as many as rows unless given; no outcome depends on it. beside:
    inference in a thread, which a processor to spare or a GPU makes worth it.
    horizon: how much of a chunk is executed; what the checkpoint was made for unless given.
    ensemble, grip: see `options.PilotOptions`. What differs from the checkpoint's own way stands
    in the name. Raises ContractError with every difference where this is not the arm it was
    made for.
    """
    options = PilotOptions(horizon, ensemble, grip or GripChange())
    contract = place.make_arm().contract
    policy.fit(contract)
    options.pilot(contract, policy=policy)  # whatever is wrong is said before anything runs
    if place.cameras:
        gl.require()

    rows = policy.best_rows()
    batched = policy.in_rows(rows)
    return Setup(
        options.name("policy"),
        place.make_arm,
        partial(make_task, place.task, place.scene),
        partial(_player, options, batched),
        batched,
        slots or (2 * rows if beside else rows),
        rows,
        beside,
    )


def place_for(
    contract: Contract | None,
    *,
    task: str = "",
    site: str = "",
    friction: str = "plausible",
    randomise: str = "none",
    servo: ServoCfg = STANDARD,
    rig: str = "",
    spawn_half: float | None = None,
) -> Place:
    """The place a contract speaks of, or the named task; the arm has the contract's cameras.

    Cameras take the contract's picture size; everything else must agree by itself, and is
    compared when the policy is loaded. spawn_half: half the side of another square round the
    same centre, m. Raises UsageError where neither says which task.
    """
    known = task_named(task) if task else _task_of(contract)
    wanted = contract.cameras if contract is not None else ()
    make = partial(
        make_scene,
        known,
        site=site,
        friction=friction,
        random=preset(randomise),
        servo=servo,
        rig=rig,
    )
    if spawn_half is not None:
        make = partial(make, spawn=_widened(make().spawn, spawn_half))
    scene = make()
    own = {c.name: (c.width, c.height) for c in scene.cameras}
    sizes = {(c.width, c.height) for c in wanted if own.get(c.name) != (c.width, c.height)}
    if len(sizes) > 1:
        raise ContractError(
            f"cameras of different sizes {sorted(sizes)}: the simulated arm has one size for all."
        )
    if sizes:
        scene = make(camera_size=sizes.pop())
    names = tuple(c.name for c in wanted)
    known_all = all(name in own for name in names)
    # Where one is missing it will be refused, and told which there are.
    return Place(known.rules.name, scene, names if known_all else tuple(own))


def _script(scene: SceneCfg, pilot: str, grip: GripChange, arm: Arm) -> Pilot:
    """The scripted pilot of one slot."""
    if pilot == "random":
        made: Pilot = Random(arm.contract)
    else:
        made = Expert(scene) if pilot == "expert" else Zero()
    return OtherGrip(made, grip, arm.contract) if grip.is_on else made


def _player(options: PilotOptions, policy: CheckpointPolicy, arm: Arm) -> Pilot:
    """The pilot of one slot that plays a policy's chunks."""
    return options.pilot(arm.contract, policy=policy)


def _widened(spawn: SpawnCfg, half_m: float) -> SpawnCfg:
    if not 0 < half_m <= MOST_SPAWN_M:
        raise UsageError(f"--spawn-half {half_m:g}: above 0, up to {MOST_SPAWN_M:g} m.")
    return replace(spawn, half_m=half_m)


def _task_of(contract: Contract | None) -> TaskCfg:
    """The task that the contract carries, or the one whose instruction it has."""
    told = "it carries no contract"
    if contract is not None:
        stored = contract.extra.get("scene")
        carried = task_recorded(SceneCfg.from_dict(stored)) if stored else None
        if carried is not None:
            return carried
        for cfg in TASKS.values():
            if contract.instruction == cfg.scene.instruction:
                return cfg
        told = f"its instruction is {contract.instruction!r}"
    raise UsageError(
        f"the checkpoint does not say which task it was made for ({told}). Name it: --task "
        f"{' | '.join(task_names())}, or a file such as my-task.yaml."
    )
