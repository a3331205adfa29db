"""The leader arm: an SO-101 without torque, whose joints say where the follower shall go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.pilots import Unasking
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import ArmFault, ContractError
from vibrissa.core.units import JOINTS
from vibrissa.real.bus import ServoBus
from vibrissa.real.calibration import default_path, load_calibration
from vibrissa.real.greet import Examine, greet, unexamined
from vibrissa.real.joints import CARRIED, Joints
from vibrissa.real.link import wait_for
from vibrissa.real.rig import LeaderCfg
from vibrissa.real.watch import AGAIN_S, Complaints


class Leader(Unasking):
    """A leader arm as a Pilot. `connect` first, `close` at last; or use it as a context.

    It is never moved: its torque is off from the start. The readings are those of the same
    instant in which they are asked for, and nothing is smoothed. Only a joint that cannot have
    come to where it reads stays where it was; one that passes its servo's seam goes on.
    """

    def __init__(
        self,
        cfg: LeaderCfg,
        *,
        retries: int = 2,
        say: Callable[[str], None] | None = None,
        examine: Examine = unexamined,
        now: Callable[[], float] = time.perf_counter,
    ):
        if cfg.kind != "so101":
            raise ContractError(f"a leader of kind {cfg.kind!r} is no arm: so101.")
        self._say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        path = cfg.calibration or default_path(cfg.id, leader=True)
        self.calibration = load_calibration(path)
        self.bus = ServoBus(cfg.port, f"leader {cfg.id!r}", retries=retries)
        advice = "The follower holds. Check the leader's cable and power."
        self.joints = Joints(self.bus, self.calibration, advice, feels=False, pace=CARRIED, now=now)
        self._examine, self._now = examine, now
        self._complaints = Complaints()
        self._said_s: dict[str, float] = {}

    def __enter__(self) -> Leader:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Open, check, and let go. Raises ArmFault, one line that says what to do."""
        try:
            self.bus.open()
            for line in greet(self.bus, self.calibration, self._examine):
                self._say(line)
            troubles = self.bus.torque_off()
            if troubles:
                raise ArmFault(f"{self.bus.what}: {'; '.join(troubles)}.")
        except BaseException:
            self.close()
            raise

    def read(self) -> NDArray[np.float32]:
        """Where it stands now (A,) rad. Raises ArmFault when it does not answer."""
        before = self.joints.turns
        rad = self.joints.sure_rad()
        if self.bus.errors.any() or self.joints.leapt.any() or self.joints.turns is not before:
            self._report(before)
        return rad

    def reset(self, seed: int) -> None:
        """Nothing of an episode is kept; one that vanished is waited for, as the follower is."""
        try:
            self.read()
        except ArmFault:
            self.close()
            wait_for(self.connect, say=self._say)

    def decide(self, observation: Observation) -> Decision:
        return Decision(self.read(), "human")

    def close(self) -> None:
        """Let the port go; never raises."""
        self.bus.close()

    def _report(self, turns: NDArray[np.int64]) -> None:
        """Lines about what the last reading brought. turns: (6,) before it."""
        now_s, joints = self._now(), self.joints
        for line in self._complaints.look(self.bus.errors, now_s):
            self._say(f"{self.bus.what}: {line}")
        for i in np.flatnonzero(joints.turns != turns):
            self._once(
                f"{JOINTS[i]} passed the end of its servo's count (0 and 4095 are one place), "
                "and the count goes on. Calibrate it with that joint in its middle: vibrissa setup",
                now_s,
            )
        for i in np.flatnonzero(joints.leapt):
            self._once(f"{JOINTS[i]} read where it cannot be; the follower holds it there", now_s)

    def _once(self, line: str, now_s: float) -> None:
        if now_s - self._said_s.get(line, -np.inf) >= AGAIN_S:
            self._said_s[line] = now_s
            self._say(f"{self.bus.what}: {line}")
