"""The way to an arm's servos: opened, checked, made to hold, found again, and left in order."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.bus import PortGone, ServoBus, Silent
from vibrissa.real.calibration import default_path, load_calibration
from vibrissa.real.greet import (
    Examine,
    at_full_speed,
    configure,
    greet,
    limp,
    take_torque,
    unexamined,
)
from vibrissa.real.joints import Joints
from vibrissa.real.leaving import undisturbed
from vibrissa.real.rig import ArmCfg
from vibrissa.real.turns import TURN_TICKS, turns_of

COME_BACK_S = 10.0  # how long an arm that vanished is waited for, between two episodes
TRY_S = 0.2
A_DEGREE = TURN_TICKS / 360
SLACK_TICKS = round(1 * A_DEGREE)  # a joint at its end stop rests a little beyond its range
FAR_TICKS = round(30 * A_DEGREE)  # so far outside its range no joint goes by itself
BACK_TICKS = round(5 * A_DEGREE)  # so far from its goal friction may leave a joint
STUCK_S = 2.0  # a joint on its way back that gets no nearer for so long is blocked
POLL_S = 0.05
ADVICE = (
    "It holds its last target. Check the cable before the first one that is silent, and the power."
)


class Link:
    """One follower's bus. `open` and `hold_on` begin its service, `leave` ends it."""

    def __init__(
        self,
        cfg: ArmCfg,
        *,
        say: Callable[[str], None],
        examine: Examine = unexamined,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._examine = examine
        self.cfg, self._say, self._now, self._sleep = cfg, say, now, sleep
        self.what = f"arm {cfg.id!r}"
        self.calibration = load_calibration(cfg.calibration or default_path(cfg.id))
        self.bus = ServoBus(cfg.port, self.what, retries=cfg.read_retries)
        self.joints = Joints(self.bus, self.calibration, ADVICE, now=now)
        self._served = False  # whether the port was ever ours

    def open(self) -> None:
        """Open the port, see that the arm is whole, and set it. Raises ArmFault."""
        self.bus.open()
        self._served = True
        for line in greet(self.bus, self.calibration, self._examine):
            self._say(line)
        configure(self.bus, self.cfg)

    def hold_on(self) -> None:
        """Torque on, where the arm is now; a joint outside its range then goes back, slowly.

        A servo turns into its range by itself, as fast as it can. So it is slowed before it gets
        its torque. Raises ArmFault, and gives no torque, where a joint stands far outside, or on
        the other side of its seam, from where its servo would turn the long way round.
        """
        beyond = self._beyond()
        if not beyond.any():
            take_torque(self.bus)
            return
        off = [i for i, joint in enumerate(JOINTS) if joint in limp(self.bus)]
        held = np.ones(len(JOINTS), bool)
        held[off] = False
        beyond = np.where(held, 0, beyond)
        self._refuse_far(beyond)
        for i in np.flatnonzero(beyond > SLACK_TICKS):
            self._say(
                f"{self.what}: {JOINTS[i]} stands {beyond[i] / A_DEGREE:.0f}° outside its "
                "calibrated range and goes back into it slowly. Keep clear of it."
            )
        take_torque(self.bus, beyond > 0)
        self._await_range(beyond)
        at_full_speed(self.bus)

    def lost_torque(self) -> str:
        """Which joints have no torque although the arm holds; empty where all have."""
        names = ", ".join(limp(self.bus))
        return names and (
            f"{self.what}: no torque in {names}: the power dropped for a moment, or another "
            "program took it. Support the arm; check the supply and its cables."
        )

    def require_one_turn(self) -> None:
        """Raise ArmFault where a joint has passed its seam; its servo is made to stay there.

        From beyond it the servo would turn the long way round to where it was sent.
        """
        turned = self.joints.turns != 0
        if not turned.any():
            return
        raw = self.joints.last % TURN_TICKS
        self.bus.write_all("Goal_Position", np.where(turned, raw, self._goals(self.joints.last)))
        raise ArmFault(_across(self.what, [JOINTS[i] for i in np.flatnonzero(turned)]))

    def come_back(self) -> None:
        """Before an episode: see that the arm answers, and wait for one that vanished.

        Its torque was on all the while if only the cable to the computer was out, and stays on.
        Raises ArmFault when it does not come back within `COME_BACK_S`.
        """
        if self.bus.is_open and self._answers():
            configure(self.bus, self.cfg)  # a servo whose power dropped has forgotten some of it
            self.hold_on()
            return
        wait_for(self._again, say=self._say, now=self._now, sleep=self._sleep)

    def aim(self, rad: NDArray[np.float32]) -> None:
        """Set the servos' goals (6,)."""
        self.bus.write_all("Goal_Position", self._goals(self.calibration.ticks(rad)))

    def leave(self, rest: Callable[[list[str]], bool], warning_s: float) -> list[str]:
        """Let go of the arm; what went wrong, a line each.

        `rest` moves it where it may fall, notes its troubles, and says whether it is there; if
        not, a word and `warning_s` go before. Each servo's torque is taken whoever is silent, and
        the port is closed at last, whatever happens.
        """
        told: list[str] = []
        if not self._served:  # a port that another program has: that one's torque, not ours
            return told
        try:
            if not self._reachable():
                return [self._unreached()]
            if self._holds() and not rest(told):
                self._warn()
                self._sleep(warning_s)
        except BaseException:  # a second Ctrl-C, say: it is going to fall now
            self._warn()
            raise
        finally:
            with undisturbed():
                if self.bus.is_open:
                    told += [f"{self.what}: {line}" for line in self.bus.torque_off()]
                self.bus.close()
        return told

    def _goals(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """A position (6,) as the servos count it."""
        return np.clip(ticks - TURN_TICKS * self.joints.turns, 0, TURN_TICKS - 1)

    def _beyond(self) -> NDArray[np.int64]:
        """How far each joint (6,) stands outside its calibrated range now, in ticks."""
        low, high = self.calibration.range_ticks()
        here = self.joints.ticks()
        return np.maximum(low - here, here - high).clip(0)

    def _refuse_far(self, beyond: NDArray[np.int64]) -> None:
        turned = turns_of(self.joints.last) != 0
        across = [JOINTS[i] for i in np.flatnonzero(turned & (beyond > 0))]
        if across:
            raise ArmFault(_across(self.what, across))
        far = [
            f"{JOINTS[i]} by {beyond[i] / A_DEGREE:.0f}°"
            for i in np.flatnonzero(beyond > FAR_TICKS)
        ]
        if far:
            raise ArmFault(
                f"{self.what}: it stands outside its calibrated range: {', '.join(far)}, and at "
                f"most {FAR_TICKS / A_DEGREE:.0f}° are driven back. It got no torque. Move it into "
                "its range by hand; if it is in there, calibrate it: vibrissa setup."
            )

    def _await_range(self, beyond: NDArray[np.int64]) -> None:
        """Until every joint that was outside its range is at its end. Raises ArmFault.

        Whoever gets nearer has all the time it needs: a tired joint is no blocked one.
        """
        moved, nearest, since_s = beyond > 0, int(beyond.sum()), self._now()
        while (left := np.where(moved, self._beyond(), 0)).max() > BACK_TICKS:
            if left.sum() <= nearest - SLACK_TICKS:
                nearest, since_s = int(left.sum()), self._now()
            elif self._now() - since_s > STUCK_S:
                names = ", ".join(JOINTS[i] for i in np.flatnonzero(left > BACK_TICKS))
                raise ArmFault(
                    f"{self.what}: {names} did not get back into its calibrated range. Something "
                    "is in its way: move it by hand, then start again."
                )
            self._sleep(POLL_S)

    def _warn(self) -> None:
        self._say(f"{self.what}: its torque goes off now, hold the arm!")

    def _holds(self) -> bool:
        """Whether any servo has torque; one that is silent might."""
        try:
            return bool(self.bus.read_all("Torque_Enable").any())
        except Silent:
            return True

    def _again(self) -> None:
        self.bus.close()
        self.open()
        self.hold_on()

    def _answers(self) -> bool:
        try:
            self.bus.present()
        except (PortGone, Silent):
            return False
        return True

    def _reachable(self) -> bool:
        """Whether there is a port to speak through; one that vanished may be back."""
        for _ in range(2):
            try:
                self.bus.present()
                return True
            except Silent:
                return True  # the others must be let go all the same
            except PortGone:
                self.bus.close()
            try:
                self.bus.open()
            except PortGone:
                return False
        return False

    def _unreached(self) -> str:
        return (
            f"{self.what}: {self.bus.port} is gone, so its torque is still on. Hold the arm and "
            "switch its power off."
        )


def _across(what: str, names: list[str]) -> str:
    return (
        f"{what}: {', '.join(names)} stands beyond the end of its servo's count (4095 → 0), from "
        "where it would turn the long way round. With its torque off, move it back by hand. If it "
        "belongs there, calibrate it with every joint in its middle: vibrissa setup."
    )


def wait_for(
    again: Callable[[], None],
    *,
    say: Callable[[str], None],
    now: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Try `again` for `COME_BACK_S` until it raises no ArmFault; the last one goes up."""
    until_s, told = now() + COME_BACK_S, False
    while True:
        try:
            return again()
        except ArmFault as fault:
            if now() > until_s:
                raise
            if not told:
                say(f"waiting {COME_BACK_S:.0f} s for it to come back: {fault}")
            told = True
            sleep(TRY_S)
