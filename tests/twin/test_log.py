"""Latency from the log: known delays are found again, and what never arrived is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from twin.arms import follower, leader, stood_still

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.twin.hand import scripted
from vibrissa.twin.log import latency
from vibrissa.twin.twin import TwinCfg

RANGES = "".join(f"# {joint} 1000 3000 1100 3100\n" for joint in JOINTS[:5])
RANGES += "# gripper 1000 2000 1000 3000\n"


def written(path: Path, delay_s: float, rate_hz: float, *, seconds: float = 8.0) -> Path:
    """A leader that swings, and a follower that is told `delay_s` late, `rate_hz` times a second.

    The ranges differ: what the follower is told is 100 ticks more, the gripper's twice as far.
    """
    events = []
    for t in np.arange(0, seconds, 0.01).tolist():
        events.append((t, "L " + " ".join(f"{x:.2f}" for x in at(t))))
    for t in np.arange(0, seconds, 1 / rate_hz).tolist():
        told = at(t) + 100
        told[5] = 1000 + 2 * (at(t)[5] - 1000)
        events += [(t + delay_s, f"G {i} {round(x)}") for i, x in enumerate(told)]
    lines = [f"{round(t * 1e9)} {words}\n" for t, words in sorted(events)]
    path.write_text(RANGES + "".join(lines))
    return path


def at(t: float) -> np.ndarray:
    swing = 300 * np.sin(2 * np.pi * t / 4 + np.arange(6))
    return np.array([2000.0] * 5 + [1500.0]) + swing


def test_a_known_delay_is_found(tmp_path) -> None:
    found = latency(written(tmp_path / "log", 0.02, 500))
    assert found.median_s == pytest.approx(0.021, abs=0.002)
    assert found.p99_s < 0.03
    assert found.lost == 0
    assert len(found.passages_s) > 500


def test_sampling_is_part_of_it(tmp_path) -> None:
    found = latency(written(tmp_path / "log", 0.005, 30))
    assert found.median_s == pytest.approx(0.005 + 1 / 60, abs=0.003)
    assert found.p99_s == pytest.approx(0.005 + 1 / 30, abs=0.004)


def test_a_part_of_the_log_and_a_log_that_is_none(tmp_path) -> None:
    path = written(tmp_path / "log", 0.02, 100)
    assert len(latency(path, since_ns=4_000_000_000).passages_s) < len(latency(path).passages_s)
    (tmp_path / "none").write_text("hello\n")
    with pytest.raises(UsageError, match="no log of a twin"):
        latency(tmp_path / "none")
    with pytest.raises(UsageError, match="no log of a twin"):
        latency(tmp_path / "missing")


def test_the_twin_writes_one_that_can_be_read(tmp_path) -> None:
    log = tmp_path / "twin.log"
    with stood_still(tmp_path, TwinCfg(log=log)) as twin:
        leads, follows = leader(twin), follower(twin, num_read_retries=5)
        leads.config.num_read_retries = 5
        leads.connect()
        follows.connect()
        twin.leader.hand = scripted("circle", twin.leader.angles)
        for _ in range(200):
            twin.advance(0.01)
            follows.send_action(leads.get_action())
        leads.disconnect()
        follows.disconnect()
    lines = log.read_text().splitlines()
    assert len([line for line in lines if " G " in line]) > 1000
    assert len(latency(log).passages_s) >= 0  # time stood still: only that it is understood
