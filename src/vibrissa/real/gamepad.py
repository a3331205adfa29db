"""A gamepad as speeds of the joints: sticks and shoulder buttons, through pygame."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.core.units import JOINTS

DEAD = 0.12  # a stick at rest is not quite at zero
# Axes of SDL's common layout: left stick x y, right stick x y; up is negative.
_AXES = {"shoulder_pan": (0, -1), "shoulder_lift": (1, -1), "elbow_flex": (3, 1)}
_AXES |= {"wrist_roll": (2, 1)}
# Buttons, + and -: the upper shoulders bend the wrist; A closes the gripper and B opens it.
_BUTTONS = {"wrist_flex": (5, 4), "gripper": (1, 0)}
TOLD = "left stick pan and lift, right stick elbow and roll, shoulders wrist, A/B gripper"


class Stick(Protocol):
    """As much of pygame's Joystick as is used."""

    def get_axis(self, axis_number: int, /) -> float: ...
    def get_button(self, button: int, /) -> bool: ...
    def get_numaxes(self) -> int: ...
    def get_numbuttons(self) -> int: ...


def speeds(stick: Stick) -> NDArray[np.float32]:
    """What the pad asks for: (6,) from -1 to 1, in the order of `JOINTS`."""
    told = np.zeros(len(JOINTS), np.float32)
    for joint, (axis, sign) in _AXES.items():
        if axis < stick.get_numaxes():
            told[JOINTS.index(joint)] = sign * _beyond_dead(stick.get_axis(axis))
    for joint, buttons in _BUTTONS.items():
        more, less = (b < stick.get_numbuttons() and bool(stick.get_button(b)) for b in buttons)
        told[JOINTS.index(joint)] = float(more) - float(less)
    return told


class Gamepad:
    """The first gamepad there is. As a context it is opened; calling it gives speeds (6,).

    Raises UsageError where pygame or a gamepad is missing, ArmFault when it was pulled out.
    """

    def __enter__(self) -> Gamepad:
        # Without a window of its own, pygame would give nothing while another one is in front.
        os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError:
            raise UsageError(
                "a gamepad needs pygame: install Vibrissa with the extra [gamepad]."
            ) from None
        self._pygame = pygame
        pygame.display.init()
        pygame.joystick.init()
        if not pygame.joystick.get_count():
            self.__exit__(None, None, None)
            raise UsageError("there is no gamepad. Plug one in, or name another leader.")
        self._stick = pygame.joystick.Joystick(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pygame.joystick.quit()
        self._pygame.display.quit()

    def __call__(self) -> NDArray[np.float32]:
        self._pygame.event.pump()
        if not self._pygame.joystick.get_count():
            raise ArmFault("the gamepad is gone. The follower holds.")
        return speeds(self._stick)


def _beyond_dead(value: float) -> float:
    """The stick's way beyond its dead middle, as a share of what is left of it."""
    beyond = (abs(value) - DEAD) / (1 - DEAD)
    return float(np.sign(value) * np.clip(beyond, 0.0, 1.0))
