"""What the doctor knows of an arm, asked by every command that is about to use it.

A calibration or a supply that the doctor calls broken is refused before there is any torque; what
it calls a warning is printed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from vibrissa.core.errors import ArmFault, UsageError

if TYPE_CHECKING:
    from vibrissa.machine.lines import Line
    from vibrissa.real.greet import Examined
    from vibrissa.real.rig import Rig

Say = Callable[[str], None]


def check_rig(rig: Rig, say: Say, *, led: bool = False) -> None:
    """Judge ports and calibrations of a real rig by its files, with nothing opened.

    led: whether its leader is used too. Raises UsageError for one port of two arms, and for a
    calibration that cannot be true; one that is missing is left to whoever loads it.
    """
    from vibrissa.machine.calibrations import judge_calibrations
    from vibrissa.real.calibration import default_path

    leader = rig.leader if led and rig.leader and rig.leader.kind == "so101" else None
    arms = {"arm": rig.arm} if rig.arm.kind == "so101" else {}
    paths = {n: arm.calibration or default_path(arm.id) for n, arm in arms.items()}
    if leader is not None:
        paths["leader"] = leader.calibration or default_path(leader.id, leader=True)
        if arms and os.path.realpath(leader.port) == os.path.realpath(rig.arm.port):
            raise UsageError(
                f"arm and leader name one port, {rig.arm.port}. Each arm has an adapter of its "
                "own: vibrissa doctor --hardware lists the ports."
            )
    texts = {
        f"{name}'s calibration {path}": path.read_text("utf-8", "replace")
        for name, path in paths.items()
        if path.is_file()
    }
    _speak(judge_calibrations(texts), say)


def check_leader(rig: Rig) -> None:
    """Shake hands with the leader, and close it: what forbids it is said before the arm has torque.

    Its warnings wait until it is opened to be used. Raises ArmFault.
    """
    from vibrissa.real.leader import Leader

    if rig.leader is not None and rig.leader.kind == "so101":
        retries = rig.arm.read_retries
        with Leader(rig.leader, retries=retries, say=lambda _: None, examine=examine):
            pass


def examine(read: Callable[[str, str], int]) -> Examined:
    """Judge an arm's servos as `vibrissa doctor` does; for `RealArm` and `Leader`."""
    from vibrissa.machine.servos import Servo, ask_servos, check_servos
    from vibrissa.real.greet import Examined

    servos = ask_servos(read)
    silent = [str(trouble) for trouble in servos.values() if not isinstance(trouble, Servo)]
    if silent:
        raise ArmFault(silent[0])
    lines = check_servos("", servos)
    return Examined(_joined(lines, "broken"), _joined(lines, "warning"))


def _joined(lines: Iterable[Line], state: str) -> tuple[str, ...]:
    """The lines of this state, servos with the same advice in one: not six times the same."""
    same: dict[str, list[Line]] = {}
    for line in lines:
        if line.state == state:
            same.setdefault(line.do, []).append(line)
    return tuple(
        f"{', '.join(line.about.strip() for line in some if line.about.strip())}: "
        f"{some[0].told}: {do}".removeprefix(": ")
        for do, some in same.items()
    )


def _speak(lines: Iterable[Line], say: Say) -> None:
    """Print the warnings. Raises UsageError with all that is broken."""
    lines = list(lines)
    for line in lines:
        if line.state == "warning":
            say(f"warning: {line.about}: {line.told}. What to do: {line.do}")
    bad = [
        f"{line.about}: {line.told}. What to do: {line.do}"
        for line in lines
        if line.state == "broken"
    ]
    if bad:
        raise UsageError(f"{'; '.join(bad)}. Nothing was moved.")
