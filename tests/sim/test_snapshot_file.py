"""Snapshots in a file: what goes on from them is what went on from the arm itself."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from vibrissa.core.errors import UsageError
from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.randomise import preset
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.snapshot import Snapshot, restore, save
from vibrissa.sim.snapshot_file import load, write
from vibrissa.sim.tasks import make_scene

SEED = 9  # its strong sample has every factor at work


def taken(cfg: SceneCfg, ticks: int, every: int) -> tuple[SimArm, list[Snapshot]]:
    """An expert's episode, with a snapshot at every `every`-th tick, its target still pending."""
    arm, expert = SimArm(cfg), Expert(cfg)
    arm.reset(SEED)
    expert.reset(SEED)
    kept = []
    for tick in range(ticks):
        arm.send(expert.decide(arm.observe()).action)
        if tick % every == 0:
            kept.append(save(arm))
    return arm, kept


def go_on(arm: SimArm, ticks: int = 20) -> list[bytes]:
    """What is seen after random targets, to the last bit."""
    rng = np.random.default_rng(4)
    seen = []
    for _ in range(ticks):
        observation = arm.observe()
        seen.append(observation.sim_state.tobytes() + observation.state.tobytes())
        arm.send(rng.uniform(LOW_RAD, HIGH_RAD).astype(np.float32))
    return seen


@pytest.mark.parametrize("randomise", ["none", "strong"])
def test_from_every_snapshot_of_a_file_it_goes_on_bit_for_bit(
    tmp_path: Path, randomise: str
) -> None:
    """Under `strong` targets are on their way and cameras show what is over."""
    cfg = make_scene("pick-place", random=preset(randomise))
    _, kept = taken(cfg, 91, 30)
    write(tmp_path / "deep" / "seed.npz", kept, {"seed": SEED})
    read = load(tmp_path / "deep" / "seed.npz")
    assert read.about == {"seed": SEED}
    assert [s.tick for s in read.snapshots] == [0, 30, 60, 90]
    for before, after in zip(kept, read.snapshots, strict=True):
        one, other = SimArm(cfg), SimArm(after.cfg)
        restore(one, before)
        restore(other, read.at(before.tick))
        assert go_on(other) == go_on(one)
    if randomise == "strong":
        assert any(s.waiting for s in read.snapshots)
        assert len(read.snapshots[1].past) == len(kept[1].past) > 1


def test_the_same_episode_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write(tmp_path / name, taken(make_scene("lift"), 5, 1)[1], {})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_a_tick_that_was_not_kept_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", taken(make_scene("lift"), 5, 2)[1], {})
    with pytest.raises(
        UsageError, match=r"no snapshot of tick 3\. There is one of 3 ticks: 0 to 4"
    ):
        load(tmp_path / "a.npz").at(3)


def test_what_cannot_be_written_is_a_bug_and_leaves_nothing(tmp_path: Path) -> None:
    lift, pick = (taken(make_scene(task), 1, 1)[1] for task in ("lift", "pick-place"))
    with pytest.raises(ValueError, match="no snapshot"):
        write(tmp_path / "a.npz", [], {})
    with pytest.raises(ValueError, match="different episodes"):
        write(tmp_path / "a.npz", [*lift, *pick], {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write(path, taken(make_scene("lift"), 2, 1)[1], {})
    whole = path.read_bytes()
    for bad in (b"", b"rubbish", whole[: len(whole) // 2], _changed(whole, "format", 9)):
        path.write_bytes(bad)
        with pytest.raises(UsageError) as error:
            load(path)
        assert "a.npz" in str(error.value)
    path.unlink()
    with pytest.raises(UsageError, match="holds no snapshots"):
        load(path)


def _changed(archive: bytes, key: str, value: object) -> bytes:
    """The same file with another value in its JSON."""
    with np.load(io.BytesIO(archive)) as read:
        arrays = dict(read)
    told = {**json.loads(arrays["about"].tobytes()), key: value}
    arrays["about"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()
