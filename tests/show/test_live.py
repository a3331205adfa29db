"""The live view: what a viewer gets is what happened, and a slow one costs the loop nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import CONTRACT, OneJoint, Ramp, Reach, Tape

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.core.contract import Contract
from vibrissa.core.episode import Decision, Observation, Start, Step
from vibrissa.core.errors import UsageError
from vibrissa.show import live
from vibrissa.show.live import BEHIND, Live


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Entity → its rows in the order they were logged, as rerun itself reads the file."""
    from rerun.experimental import RrdReader

    found: dict[str, list[dict[str, Any]]] = {}
    for chunk in RrdReader(file).stream():
        rows = chunk.to_record_batch().to_pylist()
        found.setdefault(chunk.entity_path, []).extend(rows)
    for rows in found.values():
        rows.sort(key=lambda row: row.get("log_tick", 0))
    return found


def _values(rows: list[dict[str, Any]], ending: str) -> list[Any]:
    return [value for row in rows for key, value in row.items() if key.endswith(ending)]


def _step(tick: int, health: str = "ok") -> Step:
    seen = Observation(
        tick,
        tick / 30,
        np.array([0.1 * tick], np.float32),
        images={"eye": np.full((3, 4, 3), 10 * tick, np.uint8)},
        captured_s={"eye": tick / 30 - 0.02},
        health={"eye": health},  # type: ignore[dict-item]
    )
    return Step(seen, Decision(np.array([0.2], np.float32), "human"), np.array([0.3], np.float32))


def test_an_episode_can_be_read_back(tmp_path: Path) -> None:
    file, tape = tmp_path / "a" / "view.rrd", Tape()
    with Live(file) as view:
        run_episode(OneJoint(), ChunkPlayer(4), Reach(), [tape, view], policy=Ramp())
    found = _read(file)
    joints = _values(found["/joints/joint"], "Scalars:scalars")
    assert len(joints) == len(tape.steps)
    for shown, step in zip(joints, tape.steps, strict=True):
        seen = (step.observation.state[0], step.decision.action[0], step.sent[0])
        np.testing.assert_allclose(shown, np.rad2deg(np.array(seen)), rtol=1e-5)
    ticks = [row["tick"] for row in found["/joints/joint"]]
    assert ticks == [step.observation.tick for step in tape.steps]
    told = " ".join(str(v) for v in _values(found["/told"], "TextLog:text"))
    assert "Reach half a radian" in told
    assert f"success after {len(tape.steps)} ticks" in told
    assert 1 <= len(found["/cameras/eye"]) <= len(tape.steps)


def test_the_health_of_a_camera_is_told_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "view.rrd"
    with Live(file) as view:
        view.on_start(Start(CONTRACT, "t", "", 0))
        for tick, health in enumerate(["ok", "ok", "frozen", "frozen", "ok"]):
            view.on_step(_step(tick, health))
    told = [v[0] for v in _values(_read(file)["/told"], "TextLog:text")]
    assert [line for line in told if "camera" in line] == ["camera eye: frozen", "camera eye: ok"]
    ages = _values(_read(file)["/age_ms/eye"], "Scalars:scalars")
    np.testing.assert_allclose(ages, [[20.0]] * 5, atol=1e-3)


def test_depth_is_shown_as_depth(tmp_path: Path) -> None:
    file = tmp_path / "view.rrd"
    step = _step(0)
    images = {"eye": np.full((3, 4), 0.5, np.float32)}
    with Live(file) as view:
        view.on_start(Start(CONTRACT, "t", "", 0))
        view.on_step(replace(step, observation=replace(step.observation, images=images)))
    keys = {key for row in _read(file)["/cameras/eye"] for key in row}
    assert any(key.startswith("DepthImage") for key in keys)


def test_a_viewer_that_hangs_costs_the_loop_nothing(monkeypatch, tmp_path: Path) -> None:
    """It keeps the newest numbers and no more, and looks at one picture only."""
    gate, real = threading.Event(), live._layout

    def slow(contract: Contract):
        gate.wait()
        return real(contract)

    monkeypatch.setattr(live, "_layout", slow)
    looked = 0

    class Looked(dict):
        def __getitem__(self, name: str):
            nonlocal looked
            looked += 1
            return super().__getitem__(name)

    view = Live(tmp_path / "view.rrd")
    view.on_start(Start(CONTRACT, "t", "", 0))
    for tick in range(BEHIND + 50):
        step = _step(tick % 20)
        seen = replace(step.observation, tick=tick, images=Looked(step.observation.images))
        view.on_step(replace(step, observation=seen))
    assert looked == 1
    gate.set()
    view.close()
    ticks = [row["tick"] for row in _read(tmp_path / "view.rrd")["/joints/joint"]]
    assert ticks == list(range(50, BEHIND + 50))


def test_a_file_that_exists_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "view.rrd"
    file.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        Live(file)
    assert file.read_text() == "mine"


def test_without_a_screen_there_is_one_line(monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UsageError, match="--live-file"):
        Live()
