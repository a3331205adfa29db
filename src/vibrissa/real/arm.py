"""The real SO-101 behind the Arm protocol: rad in the loop, LeRobot's driver on the wire.

It never asks anything: what keeps it from starting is one line that says what to do. However
its program ends, short of a kill -9 or a crash in C code, the torque goes off servo by servo, after
a word.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.limits import Limits
from vibrissa.core.contract import Contract, so101
from vibrissa.core.episode import Observation, StateHealth
from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.core.units import JOINTS
from vibrissa.real.cameras import Cameras, specs
from vibrissa.real.following import Following
from vibrissa.real.greet import Examine, unexamined
from vibrissa.real.homing import TICK_S, Path, pose_rad, way
from vibrissa.real.leaving import at_exit, signals_as_interrupts
from vibrissa.real.link import Link
from vibrissa.real.rig import Rig
from vibrissa.real.watch import AGAIN_S, Watch

HOLD_RAD = np.deg2rad(5.0)  # an arm that lags its target less than this holds at the target
LED_S = 0.25  # an arm that was given a target so lately is being led
GENTLE_RAD_S = np.deg2rad(90.0)  # until the arm has once come near what it is asked
NEAR_RAD = np.deg2rad(3.0)
HAND_RAD_S = np.deg2rad(30.0)  # of a joint that stands outside the limits, until it is within
OUTSIDE_RAD = np.deg2rad(2.0)  # what is worth a line
LATE_TICKS, ARRIVED_RAD = 150, 1e-3  # of `TICK_S`, at the end of a way
REBOOT_S = 0.12  # an answer that took so long may be a servo's that began anew, without torque
WARNING_S = 1.5  # between the word and the torque going off: a hand needs that long


class RealArm:
    """One SO-101 follower and its cameras. `connect` first; then it is an Arm; `close` at last.

    homing: how `reset` goes to the rig's home pose: "none", "direct" or "staged" (through the
    middle of every joint). say: where a line for the operator goes. examine: who judges the servos
    before they get torque, see `greet`. As a context manager it connects, and closes with its
    troubles noted on whatever exception is on its way.
    """

    def __init__(
        self,
        rig: Rig,
        rate_hz: float,
        *,
        instruction: str = "",
        homing: Path = "none",
        warning_s: float = WARNING_S,
        say: Callable[[str], None] | None = None,
        examine: Examine = unexamined,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
        if rig.arm.kind != "so101":
            raise UsageError(f"the rig's arm is of kind {rig.arm.kind!r}; a real one is so101.")
        self.rig, self._warning_s = rig, warning_s
        self.homing: Path = homing
        self.say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        self._now, self._sleep = now, sleep
        self.link = Link(rig.arm, say=self.say, examine=examine, now=now, sleep=sleep)
        self.cameras = Cameras(rig.cameras, say=self.say)
        self.contract: Contract = so101(
            rate_hz=rate_hz,
            cameras=specs(rig.cameras),
            calibration=f"so101-{self.link.calibration.digest}",
            instruction=instruction,
        )
        self._limits = Limits(*self.link.calibration.bounds_rad())
        self._speed_rad_s = float(np.deg2rad(rig.arm.max_speed_deg_s))
        self._step_rad = float(np.deg2rad(rig.arm.max_step_deg))
        self._watch, self._following = Watch(), Following()
        self._leapt_s: dict[str, float] = {}  # when a leap of a joint was last said
        self._leaving = ExitStack()
        self._connected = False
        self._target: NDArray[np.float32] | None = None  # (A,), None while nothing is sent
        self._sent_s = self._began_s = now()
        self._tick, self._pending, self._gentle = 0, False, True

    @property
    def scene(self) -> Mapping[str, Any]:
        """Nothing is known of what a real arm stands in."""
        return {}

    def __enter__(self) -> RealArm:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for trouble in self._leave(self._rest):
            if error is None:
                self.say(trouble)
            else:
                error.add_note(trouble)

    def connect(self) -> None:
        """Open port and cameras, check everything, take the torque where the arm is now.

        Raises ArmFault or UsageError, one line that says what to do; then all is closed again.
        """
        self._leaving.callback(at_exit(self.close))
        self._leaving.enter_context(signals_as_interrupts())
        self._connected = True
        try:
            self.link.open()
            self.cameras.start()
            self.link.hold_on()
            self._settle()
        except BaseException as error:
            for trouble in self._leave(lambda _: False):
                error.add_note(trouble)
            raise

    def reset(self, seed: int) -> None:
        """A new episode: home if wanted, clocks at zero.

        A port or a camera that vanished may come back now. Raises ArmFault where it does not,
        and where the way home fails.
        """
        if not self._connected:
            raise ArmFault("an arm that is not connected cannot be reset: call connect() first.")
        if not self._is_led():
            self._watch.clear()
            self._following.clear()
            self.link.come_back()
            self._settle()
            self._gentle = True
        self.cameras.wait()
        trouble = self.go_home(self.homing)
        if trouble:
            raise ArmFault(trouble)
        self._tick, self._pending = 0, False
        self._began_s = self._now()

    def observe(self) -> Observation:
        """Where the arm is now, and every camera's latest frame. It waits for no camera.

        Raises ArmFault when the servos do not answer; the arm then holds its last target.
        """
        self._require_target()
        if self._pending:
            self._tick, self._pending = self._tick + 1, False
        state = self.link.joints.rad()
        time_s = self._now() - self._began_s
        self.link.require_one_turn()
        self._look_after(self._now())
        state_health = self._believed(state, self._now())
        frames = self.cameras.latest(state)
        return Observation(
            tick=self._tick,
            time_s=time_s,
            state=state,
            images={name: frame.picture for name, frame in frames.items()},
            captured_s={name: f.captured_s - self._began_s for name, f in frames.items()},
            sequence={name: frame.sequence for name, frame in frames.items()},
            health={name: f.health for name, f in frames.items() if f.health != "ok"},
            state_health=state_health,
        )

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Set the target (A,) rad; returned is what the limits left of it.

        May be called as often as one likes within a tick: the speed limit knows the time between.
        """
        previous = self._require_target()
        asked = self.contract.check_action(action)
        self._pending = True
        if self._watch.holding:
            return previous.copy()
        now_s = self._now()
        sent = self._limited(previous, now_s - self._sent_s).keep(asked, previous)
        if self._gentle and np.abs(sent - asked).max() < NEAR_RAD:
            self._gentle = False
        self._aim(sent, now_s)
        return sent

    def hold(self) -> None:
        """Stay here: the target, or the measured pose where the arm is not yet near its target.

        An arm that was just told to be out of reach holds its last target without being asked.
        """
        if self._target is None or self.link.joints.lost:
            return
        here = self.link.joints.rad()
        moving = np.abs(here - self._target) > HOLD_RAD
        self._aim(np.where(moving, here, self._target).astype(np.float32), self._now())
        self._gentle = True

    def go_home(self, path: Path = "direct") -> str:
        """Move to the rig's home pose at a hand's speed; what went wrong, empty if nothing.

        It raises no ArmFault: a way home that fails must not hide the episode before it.
        """
        if self.rig.home_deg is None or path == "none":
            return ""
        return self._go(pose_rad(self.rig.home_deg), path, "home")

    def close(self) -> None:
        """Rest pose if the rig has one, or a word; torque off; port closed. Raises no ArmFault."""
        for trouble in self._leave(self._rest):
            self.say(trouble)

    def _leave(self, rest: Callable[[list[str]], bool]) -> list[str]:
        """End the arm's service, each step whatever became of the others; the troubles."""
        if not self._connected:
            return []
        self._connected = False
        try:
            return self.link.leave(rest, self._warning_s)
        finally:
            self._target = None
            self.cameras.close()
            self._leaving.close()

    def _rest(self, told: list[str]) -> bool:
        """Go where the arm may fall, if the rig knows such a pose; whether it is there."""
        if self._target is None or self.rig.rest_deg is None:
            return False
        trouble = self._go(pose_rad(self.rig.rest_deg), "direct", "to its rest pose")
        told += [trouble] if trouble else []
        return not trouble

    def _go(self, goal: NDArray[np.float32], path: Path, where: str) -> str:
        try:
            self._settle()
            end = np.clip(goal, self._limits.low, self._limits.high)
            for point in way(self._require_target(), goal, path):
                self.send(point)
                self._sleep(TICK_S)
            for _ in range(LATE_TICKS):  # a joint from outside its limits comes later
                if np.abs(self._require_target() - end).max() < ARRIVED_RAD:
                    break
                self.send(end)
                self._sleep(TICK_S)
        except ArmFault as fault:
            return f"the way {where} was broken off: {fault}"
        return ""

    def _is_led(self) -> bool:
        """Whether somebody led it a moment ago and goes on: then there is nothing to find out."""
        if self._target is None or self._gentle or self._watch.holding or self.link.joints.lost:
            return False
        return self._now() - self._sent_s < LED_S

    def _settle(self) -> None:
        """Take the measured pose as target, also where it is outside the limits."""
        here = self.link.joints.rad()
        outside = np.maximum(self._limits.low - here, here - self._limits.high)
        for i in np.flatnonzero(outside > OUTSIDE_RAD):
            self.say(
                f"{self.link.what}: {JOINTS[i]} stands {np.rad2deg(outside[i]):.0f}° outside its "
                "limits; its next move brings it back, slowly."
            )
        self._aim(here, self._now())

    def _aim(self, target: NDArray[np.float32], now_s: float) -> None:
        self.link.aim(target)
        self._target, self._sent_s = target, now_s

    def _limited(self, previous: NDArray[np.float32], since_s: float) -> Limits:
        """The limits for a target `since_s` after the last one, which was `previous` (A,)."""
        speed = min(self._speed_rad_s, GENTLE_RAD_S) if self._gentle else self._speed_rad_s
        most: float | NDArray[np.float64] = min(speed * since_s, self._step_rad)
        outside = (previous < self._limits.low) | (previous > self._limits.high)
        if outside.any():
            most = np.where(outside, min(most, HAND_RAD_S * since_s), most)
        return replace(self._limits, most_rad_s=most, tick_s=1.0)

    def _believed(self, state: NDArray[np.float32], now_s: float) -> StateHealth:
        """Whether `state` is possible, and whether the arm goes where it is sent."""
        joints, target = self.link.joints, self._require_target()
        lines = self._following.look(state, target, now_s)
        if lines or joints.waited_s > REBOOT_S:
            self._require_torque()
        for line in lines:
            self.say(f"{self.link.what}: {line}")
        for i in np.flatnonzero(joints.leapt):
            if now_s - self._leapt_s.get(JOINTS[i], -np.inf) >= AGAIN_S:
                self._leapt_s[JOINTS[i]] = now_s
                self.say(f"{self.link.what}: {JOINTS[i]} read further away than it can have moved.")
        return "leap" if joints.leapt.any() else "behind" if self._following.behind.any() else "ok"

    def _look_after(self, now_s: float) -> None:
        """What came along with the positions; a line, a hold or a stop come of it."""
        held = self._watch.holding
        for line in self._watch.look(self.link.joints.senses, now_s):
            self.say(f"{self.link.what}: {line}")
        if held and not self._watch.holding:  # power that sagged may have been gone
            self._require_torque()
        if self._watch.stop:
            self.link.bus.write_all("Torque_Limit", self._watch.torque_limits())
            raise ArmFault(f"{self.link.what}: {self._watch.stop}")

    def _require_torque(self) -> None:
        """Raise ArmFault where a joint has lost its torque; the next reset gives it back."""
        limp = self.link.lost_torque()
        if limp:
            self._gentle = True
            raise ArmFault(limp)

    def _require_target(self) -> NDArray[np.float32]:
        if self._target is None:
            raise ArmFault("an arm that is not connected: call connect() and reset(seed) first.")
        return self._target
