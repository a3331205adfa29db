"""Who can be judged where: scripted pilots and checkpoints, in the scenes of our tasks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vibrissa.bench.charts import Square
from vibrissa.bench.evaluate import Setup
from vibrissa.control.pilots import ChunkPlayer, Random, Zero
from vibrissa.core.contract import Contract
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.core.protocols import Arm, Pilot
from vibrissa.sim import gl
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.tasks import TASKS, make_scene, make_task

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.learn.policy import CheckpointPolicy

PILOTS = ("expert", "zero", "random")
SLOTS = 8  # arms beside each other for a policy: the size of every batch it sees


@dataclass(frozen=True)
class Place:
    """Where it is judged: a task, its scene, and the cameras the arm has."""

    task: str
    scene: SceneCfg
    cameras: tuple[str, ...] = ()

    def make_arm(self) -> SimArm:
        return SimArm(self.scene, cameras=self.cameras)

    def landmarks(self) -> dict[str, Square]:
        """The squares of the scene for the report's map."""
        tray = self.scene.tray
        return {} if tray is None else {"tray": (*tray.centre_m, tray.half_m)}

    def area(self) -> Square:
        """The square in which the object starts."""
        return (*self.scene.spawn.centre_m, self.scene.spawn.half_m)


def scripted(place: Place, pilot: str) -> Setup:
    """The expert, the zero or the random pilot. Raises UsageError for another name."""
    if pilot not in PILOTS:
        raise UsageError(f"no pilot {pilot!r}. There is: {', '.join(PILOTS)}.")

    def make(arm: Arm) -> Pilot:
        if pilot == "random":
            return Random(arm.contract)
        return Expert(place.scene) if pilot == "expert" else Zero()

    return Setup(pilot, place.make_arm, partial(make_task, place.task, place.scene), make)


def learnt(place: Place, policy: CheckpointPolicy, *, horizon: int | None = None) -> Setup:
    """A checkpoint's policy, loaded with `SLOTS` slots.

    horizon: how much of a chunk is executed; what the checkpoint was made for unless given.
    Raises ContractError with every difference where this is not the arm it was made for.
    """
    policy.fit(place.make_arm().contract)
    if place.cameras and gl.trouble():
        raise UsageError(gl.trouble())
    most = policy.chunk
    if horizon is not None and not 1 <= horizon <= most:
        raise UsageError(f"--horizon {horizon}: this checkpoint's chunks have 1 to {most} actions.")

    def make(_arm: Arm) -> Pilot:
        return ChunkPlayer(
            horizon or policy.horizon,
            history=policy.history,
            cameras=policy.contract.camera_names,
        )

    make_judge = partial(make_task, place.task, place.scene)
    return Setup("policy", place.make_arm, make_judge, make, policy, policy.slots)


def place_for(
    contract: Contract | None, *, task: str = "", site: str = "", friction: str = "plausible"
) -> Place:
    """The place a contract speaks of, or the named task; the arm has the contract's cameras.

    Cameras take the contract's picture size; everything else must agree by itself, and is
    compared when the policy is loaded. Raises UsageError where neither says which task.
    """
    name = task or _task_of(contract)
    wanted = contract.cameras if contract is not None else ()
    scene = make_scene(name, site=site, friction=friction)
    known = [c.name for c in scene.cameras]
    sizes = {(c.width, c.height) for c in wanted}
    if len(sizes) > 1:
        raise ContractError(
            f"cameras of different sizes {sorted(sizes)}: the simulated arm has one size for all."
        )
    if sizes:
        scene = make_scene(name, site=site, friction=friction, camera_size=sizes.pop())
    return Place(name, scene, tuple(c.name for c in wanted if c.name in known))


def _task_of(contract: Contract | None) -> str:
    """The task whose instruction the contract carries."""
    if contract is not None:
        for name, cfg in TASKS.items():
            if contract.instruction == cfg.scene.instruction:
                return name
        told = f"its instruction is {contract.instruction!r}"
    else:
        told = "it carries no contract"
    raise UsageError(
        f"the checkpoint does not say which task it was made for ({told}). Name it: --task "
        f"{' | '.join(TASKS)}."
    )
