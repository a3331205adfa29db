"""For every test of the twin: LeRobot's driver waits as long as a busy machine needs."""

from __future__ import annotations

import pytest

PATIENCE_MS = 1000.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 50 ms are of a wall clock, and twin and driver share two cores with others."""

    def wait(self, packet_length: int) -> None:
        self.packet_start_time = self.getCurrentTime()
        self.packet_timeout = PATIENCE_MS

    monkeypatch.setattr("lerobot.motors.feetech.feetech.patch_setPacketTimeout", wait)
