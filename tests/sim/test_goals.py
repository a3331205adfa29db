"""Stack and line: the expert wins nearly always, and pilots that only look like it never do."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Random, Zero
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.units import GRIPPER
from vibrissa.sim import privileged
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import CLOSED_RAD, Expert
from vibrissa.sim.goals import Goal, goal_of, misaligned_rad, on_goal
from vibrissa.sim.judge import Judge, holds
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.tasks import make_scene, make_task, task_named

NEW = ("stack", "line")


def judged(task: str, pilot, seeds: range, scene: SceneCfg | None = None) -> list[str]:
    cfg = scene or make_scene(task)
    arm, judge = SimArm(cfg), make_task(task, cfg)
    made = pilot(cfg, arm)
    return [run_episode(arm, made, judge, seed=s).outcome.failure_class for s in seeds]


class Halted:
    """The expert until it enters a phase; from then on it stays as it is, jaws as told."""

    def __init__(self, cfg: SceneCfg, phase: str):
        self._expert, self._phase = Expert(cfg), phase

    def reset(self, seed: int) -> None:
        self._expert.reset(seed)
        self._last: Decision | None = None

    def asks(self, observation: Observation) -> None:
        return None

    def take(self, chunk: np.ndarray, asked_tick: int, latency_s: float) -> None:
        raise AssertionError

    def decide(self, observation: Observation) -> Decision:
        if self._last is not None and self._expert.phase == self._phase:
            return self._last
        self._last = self._expert.decide(observation)
        return self._last


class Pushing(Halted):
    """Grasps like the expert, never lifts, and drags the object towards the goal."""

    def decide(self, observation: Observation) -> Decision:
        decision = super().decide(observation)
        if self._expert.phase != self._phase:
            return decision
        action = decision.action.copy()
        action[0] = min(1.9, action[0] + 0.02)  # the shoulder alone: it slides along the table
        action[GRIPPER] = CLOSED_RAD
        self._last = Decision(action, "script")
        return self._last


@pytest.mark.parametrize("task", NEW)
@pytest.mark.parametrize("phase", ["descend", "carry", "lower", "release"])
def test_hovering_and_still_holding_are_no_success(task: str, phase: str) -> None:
    classes = judged(task, lambda cfg, _: Halted(cfg, phase), range(2))
    lifted = phase not in ("descend",)
    assert set(classes) == {"TIMEOUT" if lifted else "NEVER_PICKED_UP"}


@pytest.mark.parametrize("task", NEW)
def test_nothing_chance_and_pushing_never_win(task: str) -> None:
    for pilot in (
        lambda cfg, arm: Zero(),
        lambda cfg, arm: Random(arm.contract),
        lambda cfg, arm: Pushing(cfg, "lift"),
    ):
        assert not {"SUCCESS", "FUMBLED"} & set(judged(task, pilot, range(2)))


@pytest.mark.parametrize("task", NEW)
def test_the_expert_wins_from_every_site_and_shaken(task: str) -> None:
    for site in task_named(task).sites:
        cfg = make_scene(task, site=site)
        assert judged(task, lambda c, _: Expert(c), range(5), cfg).count("SUCCESS") >= 4
    shaken = make_scene(task, start_noise_rad=0.2)
    pilot = lambda c, _: Expert(c, action_noise_rad=0.03)  # noqa: E731
    ends = judged(task, pilot, range(5), shaken)
    assert sum(end in ("SUCCESS", "FUMBLED") for end in ends) >= 4


def test_the_base_stands_where_it_may_clear_of_the_object() -> None:
    cfg = make_scene("stack")
    assert cfg.base is not None
    arm = SimArm(cfg)
    seen = []
    for seed in range(20):
        arm.reset(seed)
        truth = arm.observe().truth
        away = np.abs(truth["base_position"][:2] - cfg.base.spawn.centre_m)
        assert away.max() <= cfg.base.spawn.half_m + 1e-3
        assert truth["goal_position"][2] == pytest.approx(0.03, abs=1e-3)
        assert not on_goal(cfg, *truth["object_position"][:2])
        seen.append(tuple(truth["base_position"][:2]))
    assert len(set(seen)) == 20


def test_the_privileged_channels_of_a_stack_include_the_base() -> None:
    cfg = make_scene("stack")
    names = [channel.name for channel in privileged.channels(cfg)]
    assert names[5:] == ["base.x", "base.y", "base.z", "base.sin4yaw", "base.cos4yaw"]
    arm = SimArm(cfg)
    arm.reset(3)
    seen = arm.observe()
    assert seen.privileged.shape == (10,)
    np.testing.assert_allclose(seen.privileged[5:8], seen.truth["base_position"], atol=1e-6)


def on_the_line(**changes: object) -> dict:
    """The truth of a brick that lies on the shipped line as it should."""
    cfg = make_scene("line")
    assert cfg.zone is not None
    truth = {
        "object_position": np.array([*cfg.zone.centre_m, 0.0096]),
        "object_quaternion": np.array([1.0, 0.0, 0.0, 0.0]),
        "object_yaw": cfg.zone.yaw_rad,
        "touching": False,
    }
    return truth | changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, True),
        ({"touching": True}, False),
        ({"object_yaw": on_the_line()["object_yaw"] + math.pi}, True),
        ({"object_yaw": on_the_line()["object_yaw"] + math.radians(9)}, True),
        ({"object_yaw": on_the_line()["object_yaw"] + math.radians(11)}, False),
        ({"object_position": on_the_line()["object_position"] + (0, 0, 0.006)}, False),
        ({"object_position": on_the_line()["object_position"] + (0.02, 0, 0)}, False),
    ],
)
def test_what_a_brick_on_the_line_is(changes: dict, told: bool) -> None:
    cfg = make_scene("line")
    assert cfg.rules is not None
    assert holds(cfg, cfg.rules.success, on_the_line(**changes)) is told
    assert not holds(cfg, cfg.rules.success, on_the_line(**changes), lifted=False)


@settings(deadline=None)
@given(st.floats(-10, 10), st.floats(-3, 3), st.integers(0, 12), st.sampled_from([2, 4]))
def test_being_aligned_is_up_to_the_turns_that_do_not_show(
    yaw: float, goal_yaw: float, symmetry: int, of_goal: int
) -> None:
    goal = Goal((0.0, 0.0), goal_yaw, (0.1, 0.1), 0.0, of_goal)
    off = misaligned_rad(yaw, symmetry, goal)
    alike = math.lcm(max(1, symmetry), of_goal)
    assert 0 <= off <= math.pi / alike + 1e-9
    for turns in {1, max(1, symmetry), of_goal}:
        turned = misaligned_rad(yaw + 2 * math.pi / turns, symmetry, goal)
        assert turned == pytest.approx(off, abs=1e-6)


def test_an_object_that_leaves_the_workspace_ends_the_episode() -> None:
    import dataclasses

    cfg = make_scene("line")
    assert cfg.rules is not None
    rules = dataclasses.replace(cfg.rules, workspace_m=(0.0, 0.4, -0.3, 0.3))
    task = Judge(cfg, rules)
    at = on_the_line(object_position=np.array([0.2, 0.0, 0.01]))
    assert task.judge(Observation(0, 0.0, np.zeros(6, np.float32), truth=at)) is None
    gone = on_the_line(object_position=np.array([0.2, 0.31, 0.01]))
    assert task.judge(Observation(1, 0.1, np.zeros(6, np.float32), truth=gone)) == "failure"
    assert task.failure_class("failure") == "NEVER_PICKED_UP"


SHAPED = """\
name: my-shape
instruction: Put it on the square
object: {shape: SHAPE, mass_kg: 0.04}
goal: {zone: {centre_m: [0.2, -0.12], size_m: [0.06, 0.06]}}
spawn: {here: {centre_m: [0.2, 0.11], half_m: 0.02}}
success: {inside: true, resting: true, released: true, upright_deg: 10, lifted: true}
"""


@pytest.mark.parametrize(
    "shape",
    [
        "cylinder, diameter_m: 0.035, height_m: 0.05",
        "box, size_m: [0.02, 0.05, 0.03]",
        "mesh, file: wedge.stl, scale: 0.001",
    ],
)
def test_the_expert_moves_other_shapes(tmp_path: Path, shape: str) -> None:
    wedge(tmp_path / "wedge.stl")
    path = tmp_path / "my-shape.yaml"
    path.write_text(SHAPED.replace("SHAPE", shape))
    task = str(path)
    cfg = make_scene(task)
    assert judged(task, lambda c, _: Expert(c), range(4), cfg).count("SUCCESS") >= 3
    assert goal_of(cfg, {}) is not None


def wedge(path: Path) -> None:
    """A block 50 × 30 × 25 mm whose top is narrower than its foot, as a binary STL in mm."""
    foot = [(-25, -15), (25, -15), (25, 15), (-25, 15)]
    low = [(x, y, 0) for x, y in foot]
    high = [(0.8 * x, 0.9 * y, 25) for x, y in foot]
    quads = [low[::-1], high]
    quads += [[low[i], low[(i + 1) % 4], high[(i + 1) % 4], high[i]] for i in range(4)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
    rows = np.zeros(len(triangles), record)
    rows["corners"] = np.array(triangles, float)
    path.write_bytes(bytes(80) + len(rows).to_bytes(4, "little") + rows.tobytes())
