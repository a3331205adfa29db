"""What only the whole of a task shows: whether it can be done, by this arm, and not by nobody.

The object must be graspable wherever it may start, and the goal within reach with the object in
the jaws, as the expert would do it. Success must not hold at the start, and must be possible.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vibrissa.control.marked import Lines
from vibrissa.core.errors import ArmFault
from vibrissa.sim.goals import RulesCfg, SiteCfg, SuccessCfg, goal_of, spawn_touches, square_of
from vibrissa.sim.grasp import WIDEST_M, Grasps, Grip, Style
from vibrissa.sim.judge import holds
from vibrissa.sim.placing import MOST_LEAN_RAD, OVER_M, Placing
from vibrissa.sim.reach import Pose, Reach
from vibrissa.sim.scene import SceneCfg, build

YAWS = 4  # headings tried at every place, within what looks different
PLAIN = Style.draw(np.random.default_rng(0), 0.0)

Truth = dict[str, Any]


def check_task(scene: SceneCfg, rules: RulesCfg, lines: Lines) -> None:
    """Raise UsageError, with the line to blame, for a task that makes no sense as a whole."""
    for site in rules.sites:
        if spawn_touches(scene, site.spawn):
            raise lines.of(f"site {site.name}").error(
                f"spawn {site.name!r} overlaps the {_goal_in_words(scene)}: an object that starts "
                "there may touch it. Move the one or the other, or make half_m smaller."
            )
    _check_object(scene, lines)
    _check_success(scene, rules, lines)
    reach = Reach(scene.servo, scene.contact)
    for site in rules.sites:
        _check_reach(scene, site, reach, lines)


def _check_object(scene: SceneCfg, lines: Lines) -> None:
    thing = scene.object
    narrow_m = 2 * min(thing.half_size_m[:2])
    if narrow_m > WIDEST_M:
        raise lines.of("object size_m", "object diameter_m", "object file", "object").error(
            f"the object is {narrow_m:g} m wide where it is narrowest; the jaws take {WIDEST_M:g}."
        )
    if thing.shape == "mesh":
        try:
            build(scene)
        except ValueError as error:
            told = " ".join(str(error).split())
            raise lines.of("object file").error(f"the mesh makes no body: {told}.") from error


def _check_success(scene: SceneCfg, rules: RulesCfg, lines: Lines) -> None:
    """Neither reached by nobody nor out of everybody's reach."""
    wanted = rules.success
    if wanted == SuccessCfg(held_ticks=wanted.held_ticks):
        raise lines.of("success").error("success asks for nothing: it would hold at once.")
    has_goal = goal_of(scene, standing(scene, 0.0, 0.0, 0.0)) is not None
    for key in ("inside", "resting", "aligned_rad"):
        if getattr(wanted, key) and not has_goal:
            word = key.replace("rad", "deg")
            raise lines.of(f"success {word}").error(
                f"{word} needs a goal: a tray, a zone, a line or a stack."
            )
    if wanted.aligned_rad is not None and scene.object.symmetry == 0:
        raise lines.of("success aligned_deg").error("a cylinder has no heading to be aligned.")
    for site in rules.sites:
        x, y = site.spawn.centre_m
        if holds(scene, wanted, standing(scene, x, y, 0.0), lifted=False):
            raise lines.of("success").error(
                f"the object meets this where it starts, at {site.name!r}: nobody need move it. "
                "Ask for more, such as inside: true, above_m or lifted: true."
            )
    if not holds(scene, wanted, _done(scene, wanted), lifted=True):
        where = "that lies still in the middle of the goal" if has_goal else "that is held up there"
        raise lines.of("success").error(
            f"nothing can meet this, not even an object {where}. Ask for less."
        )


def _check_reach(scene: SceneCfg, site: SiteCfg, reach: Reach, lines: Lines) -> None:
    """Every corner of a site and its middle, at several headings: grasped, lifted, put down."""
    grasps, placing = Grasps(scene.object, reach), Placing(scene, reach)
    for x, y in square_of(site.spawn):
        for yaw in _yaws(scene, site):
            truth = standing(scene, x, y, yaw)
            grip = grasps.choose(truth, PLAIN, 0.0)
            if grip is None:
                turned = f" turned by {math.degrees(yaw):.0f}°" if scene.object.symmetry else ""
                raise lines.of(f"site {site.name}").error(
                    f"the arm cannot grasp the object at ({x:.3f}, {y:.3f}){turned}, which is in "
                    f"spawn {site.name!r}. What lies {RING} is within reach."
                )
            _check_way(scene, truth, grip, (grasps, placing, reach), lines)


RING = "0.15 to 0.35 m from (0.04, 0), where the shoulder turns, and not behind it,"


def _check_way(
    scene: SceneCfg,
    truth: Truth,
    grip: Grip,
    parts: tuple[Grasps, Placing, Reach],
    lines: Lines,
) -> None:
    """From this grasp: up, and to every place where the goal may be."""
    grasps, placing, reach = parts
    q = reach.solve(grasps.pose(grip, PLAIN, 0.0), grip.hovering)
    if q is None:
        return  # the grasp was found together with its approach, so only rounding can lose it
    tip, rotation = reach.hand(q)
    held = Pose((0.0, 0.0, 0.0), grip.tilt_rad, None, roll_rad=float(q[4]))
    told = np.append(q, 0.0)
    height = placing.lift_m(PLAIN, truth)
    up = dataclasses.replace(held, position_m=(float(tip[0]), float(tip[1]), height))
    if reach.solve(up, q) is None and reach.least_tilt([up], q) is None:
        raise lines.of("success above_m", "goal place").error(
            f"the arm cannot lift the object to {height:.2f} m at ({tip[0]:.3f}, {tip[1]:.3f})."
        )
    for moment in _goals(scene, truth):
        moment |= {"tip_position": tip, "tip_rotation": rotation}
        trouble = _trouble_at_goal(scene, moment, (told, held), placing, reach)
        if trouble:
            raise lines.of("goal place", "goal").error(
                f"{_goal_in_words(scene)}: {trouble}. What lies {RING} is within reach."
            )


def _trouble_at_goal(
    scene: SceneCfg, truth: Truth, at: tuple[Any, Pose], placing: Placing, reach: Reach
) -> str:
    """Why the held object cannot be put down there; nothing where it can."""
    told, held = at
    if not placing.careful:
        pose = placing.drop(PLAIN, held)
        within = reach.solve(pose, told) is not None or reach.least_tilt([pose], told) is not None
        return "" if within else "the arm cannot hold the object over it"
    for above_m in (OVER_M, 0.0):
        try:
            q = placing.lower(truth, PLAIN, told, held, above_m)
        except ArmFault:
            turned = scene.rules is not None and scene.rules.success.aligned_rad is not None
            return "the arm cannot bring the object there" + (", turned so" if turned else "")
    up = reach.hand(q)[1] @ truth["tip_rotation"].T @ np.array([0.0, 0.0, 1.0])
    lean = math.acos(min(1.0, float(up[2])))
    if lean > MOST_LEAN_RAD:
        return f"the arm could put the object down there only leaning by {math.degrees(lean):.0f}°"
    return ""


def _goals(scene: SceneCfg, truth: Truth) -> Iterator[Truth]:
    """`truth` with the goal wherever it may be; nothing where there is none."""
    if scene.base is not None:
        places = sorted(square_of(scene.base.spawn), key=lambda p: math.hypot(p[0] - 0.0388, p[1]))
        for x, y in (places[0], places[-1]):  # the nearest and the farthest
            yield truth | {"base_position": np.array([x, y, scene.base.half_size_m[2]])}
    elif goal_of(scene, truth) is not None:
        yield dict(truth)


def standing(scene: SceneCfg, x: float, y: float, yaw: float) -> Truth:
    """The truth with the object on the table at a pose, and the base, if any, in its middle."""
    truth: Truth = {
        "object_position": np.array([x, y, scene.object.half_size_m[2]]),
        "object_quaternion": _turned(yaw),
        "object_yaw": yaw,
        "touching": False,
    }
    if scene.base is not None:
        middle = scene.base.spawn.centre_m
        truth["base_position"] = np.array([*middle, scene.base.half_size_m[2]])
        truth["base_quaternion"] = _turned(0.0)
        truth["base_yaw"] = 0.0
    return truth


def _done(scene: SceneCfg, wanted: SuccessCfg) -> Mapping[str, Any]:
    """The truth with the object where it would be when all was done."""
    truth = standing(scene, 0.0, 0.0, 0.0)
    goal = goal_of(scene, truth)
    if goal is None:
        height = (wanted.above_m or 0.0) + 0.01
        truth["object_position"] = np.array([0.0, 0.0, height])
        return truth | {"touching": True}
    z = goal.surface_m + scene.object.half_size_m[2]
    turned = {"object_quaternion": _turned(goal.yaw_rad), "object_yaw": goal.yaw_rad}
    return truth | turned | {"object_position": np.array([*goal.centre_m, z])}


def _yaws(scene: SceneCfg, site: SiteCfg) -> list[float]:
    if scene.object.symmetry == 0:
        return [0.0]
    low, high = site.spawn.yaw_rad
    period = 2 * math.pi / scene.object.symmetry
    if high - low >= period:
        return [low + period * k / YAWS for k in range(YAWS)]
    return [float(yaw) for yaw in np.linspace(low, high, YAWS)]


def _turned(yaw: float) -> np.ndarray:
    return np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])


def _goal_in_words(scene: SceneCfg) -> str:
    for word in ("tray", "zone"):
        goal = getattr(scene, word)
        if goal is not None:
            x, y = goal.centre_m
            return f"{word} at ({x:.3f}, {y:.3f})"
    if scene.base is None:
        return "goal"
    x, y = scene.base.spawn.centre_m
    return f"{scene.base.name} at ({x:.3f}, {y:.3f})"
