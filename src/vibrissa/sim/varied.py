"""A scene as one episode has it: the model compiled anew, with the sampled values in place.

Compiling takes a few hundredths of a second an episode and leaves nothing to be kept in step by
hand: inertias, bounding boxes and weights follow from sizes and masses as in any other scene.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vibrissa.sim import floors, robot
from vibrissa.sim.gl import mujoco
from vibrissa.sim.goals import Triple
from vibrissa.sim.sample import NOTHING, CameraMove, Light, Sample
from vibrissa.sim.scene import CameraCfg, SceneCfg, build, describe


def model_of(cfg: SceneCfg, sample: Sample) -> mujoco.MjModel:
    """The model of an episode: the shared one where nothing was sampled, else one of its own."""
    if dataclasses.replace(sample, spawn=None) == NOTHING:
        return build(cfg)
    spec = describe(scene_of(cfg, sample), sample.distractors or ())
    if sample.light is not None:
        _light(spec, sample.light)
    if sample.colour is not None:
        _paint_robot(spec, sample.colour.robot)
    if sample.floor is not None and sample.floor != floors.PLAIN:
        floors.lay(spec, sample.floor, cfg.random.floors)
    return spec.compile()


def scene_of(cfg: SceneCfg, sample: Sample) -> SceneCfg:
    """The scene with those sampled values that a `SceneCfg` can say itself."""
    thing, contact, servo = cfg.object, cfg.contact, cfg.servo
    table, goal = cfg.table_rgb, {}
    if sample.size is not None:
        thing = dataclasses.replace(thing, half_size_m=sample.size)
    if sample.mass is not None:
        thing = dataclasses.replace(thing, mass_kg=sample.mass)
    if sample.friction is not None:
        thing = dataclasses.replace(thing, friction=sample.friction.object)
        pad = (sample.friction.pad, *contact.pad_friction[1:])
        contact = dataclasses.replace(
            contact, pad_friction=pad, table_friction=sample.friction.table
        )
    if sample.action_latency is not None:
        late_s = servo.delay_s + sample.action_latency
        servo = dataclasses.replace(servo, delay_s=late_s)
    if sample.colour is not None:
        thing = dataclasses.replace(thing, rgba=(*sample.colour.object, thing.rgba[3]))
        table = sample.colour.table
        goal = _painted(cfg, sample.colour.goal)
    return dataclasses.replace(
        cfg,
        object=thing,
        contact=contact,
        servo=servo,
        table_rgb=table,
        cameras=tuple(_camera(camera, sample) for camera in cfg.cameras),
        **goal,
    )


def _painted(cfg: SceneCfg, rgb: Triple) -> dict[str, Any]:
    """Whatever is the goal, in this colour."""
    for name in ("tray", "zone", "base"):
        goal = getattr(cfg, name)
        if goal is not None:
            return {name: dataclasses.replace(goal, rgba=(*rgb, goal.rgba[3]))}
    return {}


def _camera(camera: CameraCfg, sample: Sample) -> CameraCfg:
    for lens in sample.fovy or ():
        if lens.name == camera.name:
            camera = dataclasses.replace(camera, fovy_deg=camera.fovy_deg + lens.wider_deg)
    for move in sample.camera or ():
        if move.name == camera.name:
            camera = _moved(camera, move)
    return camera


def _moved(camera: CameraCfg, move: CameraMove) -> CameraCfg:
    angle = float(np.linalg.norm(move.turn_rad))
    turn, turned = np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(turn, np.array(move.turn_rad) / (angle or 1.0), angle)
    mujoco.mju_mulQuat(turned, np.array(camera.quaternion), turn)
    x, y, z = np.add(camera.position_m, move.shift_m).tolist()
    w, i, j, k = turned.tolist()
    return dataclasses.replace(camera, position_m=(x, y, z), quaternion=(w, i, j, k))


def _light(spec: Any, light: Light) -> None:
    """Turn the lamp about x and y; the same gain for it and for the room."""
    lamp, head = spec.lights[0], spec.visual.headlight
    angle = float(np.hypot(*light.lean_rad))
    turn, direction = np.zeros(4), np.zeros(3)
    axis = np.array([*light.lean_rad, 0.0]) / (angle or 1.0)
    mujoco.mju_axisAngle2Quat(turn, axis, angle)
    mujoco.mju_rotVecQuat(direction, np.array(lamp.dir), turn)
    lamp.dir = direction
    lamp.diffuse = np.array(lamp.diffuse) * light.gain
    head.diffuse = np.array(head.diffuse) * light.gain
    head.ambient = np.array(head.ambient) * light.gain


def _paint_robot(spec: Any, rgb: tuple[float, float, float]) -> None:
    for material in spec.materials:
        if np.allclose(material.rgba[:3], robot.PRINTED_RGB, atol=1e-3):
            material.rgba = (*rgb, 1.0)
