"""The leader arm: an SO-101 without torque, whose joints say where the follower shall go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.pilots import Unasking
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import ArmFault, ContractError
from vibrissa.real.bus import ServoBus
from vibrissa.real.calibration import default_path, load_calibration
from vibrissa.real.greet import greet
from vibrissa.real.joints import Joints
from vibrissa.real.link import wait_for
from vibrissa.real.rig import LeaderCfg


class Leader(Unasking):
    """A leader arm as a Pilot. `connect` first, `close` at last; or use it as a context.

    It is never moved: its torque is off from the start. The readings are those of the same
    instant in which they are asked for; nothing is smoothed and nothing is kept.
    """

    def __init__(
        self, cfg: LeaderCfg, *, retries: int = 2, say: Callable[[str], None] | None = None
    ):
        if cfg.kind != "so101":
            raise ContractError(f"a leader of kind {cfg.kind!r} is no arm: so101.")
        self._say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        path = cfg.calibration or default_path(cfg.id, leader=True)
        self.calibration = load_calibration(path)
        self.bus = ServoBus(cfg.port, f"leader {cfg.id!r}", retries=retries)
        advice = "The follower holds. Check the leader's cable and power."
        self.joints = Joints(self.bus, self.calibration, advice, feels=False)

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
            greet(self.bus, self.calibration)
            troubles = self.bus.torque_off()
            if troubles:
                raise ArmFault(f"{self.bus.what}: {'; '.join(troubles)}.")
        except BaseException:
            self.close()
            raise

    def read(self) -> NDArray[np.float32]:
        """Where it stands now (A,) rad. Raises ArmFault when it does not answer."""
        return self.joints.rad()

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
