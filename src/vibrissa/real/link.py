"""The way to an arm's servos: opened, checked, made to hold, found again, and left in order."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.real.bus import PortGone, ServoBus, Silent
from vibrissa.real.calibration import default_path, load_calibration
from vibrissa.real.greet import configure, greet, take_torque
from vibrissa.real.joints import Joints
from vibrissa.real.leaving import undisturbed
from vibrissa.real.rig import ArmCfg

COME_BACK_S = 10.0  # how long an arm that vanished is waited for, between two episodes
TRY_S = 0.2
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
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
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
        for line in greet(self.bus, self.calibration):
            self._say(line)
        configure(self.bus, self.cfg)

    def hold_on(self) -> None:
        """Torque on, where the arm is now."""
        take_torque(self.bus)

    def come_back(self) -> None:
        """Before an episode: see that the arm answers, and wait for one that vanished.

        Its torque was on all the while if only the cable to the computer was out, and stays on.
        Raises ArmFault when it does not come back within `COME_BACK_S`.
        """
        if self.bus.is_open and self._answers():
            self.hold_on()
            return
        wait_for(self._again, say=self._say, now=self._now, sleep=self._sleep)

    def aim(self, rad: NDArray[np.float32]) -> None:
        """Set the servos' goals (6,)."""
        self.bus.write_all("Goal_Position", self.calibration.ticks(rad))

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
