"""What is on tape is the episode: played again, it is the same one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from fakes import OneJoint, Ramp, Reach

from vibrissa.bench.evaluate import Setup, evaluate
from vibrissa.bench.tapes import tape_into
from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import ChunkPlayer, Replay
from vibrissa.core.contract import Contract


def test_an_episode_that_is_broken_off_leaves_no_tape(tmp_path: Path) -> None:
    setup = Setup("policy", OneJoint, Reach, lambda _arm: ChunkPlayer(4), Ramp(), slots=2)
    rows = evaluate(setup, [3, 4, 5], tape_into(tmp_path / "tapes"))
    first = next(rows)
    rows.close()
    assert [f.name for f in (tmp_path / "tapes").iterdir()] == [
        f"seed_{first.seed:06d}_SUCCESS.json"
    ]


def test_a_tape_played_again_is_the_same_episode(tmp_path: Path) -> None:
    setup = Setup("policy", OneJoint, Reach, lambda _arm: ChunkPlayer(4), Ramp(), slots=2)
    rows = {r.seed: r for r in evaluate(setup, [3, 4, 5], tape_into(tmp_path / "some tapes"))}
    files = sorted((tmp_path / "some tapes").iterdir())
    assert [f.name for f in files] == [f"seed_00000{n}_SUCCESS.json" for n in (3, 4, 5)]
    for file in files:
        told = json.loads(file.read_text("utf8"))
        row = rows[told["seed"]]
        assert len(told["ticks"]) == row.ticks
        assert Contract.from_dict(told["contract"]).robot == "one-joint"
        actions = np.array([t["asked"] for t in told["ticks"]], np.float32)
        again = run_episode(OneJoint(), Replay(actions), Reach(), seed=told["seed"])
        assert again.outcome.ticks == row.ticks
        assert again.outcome.reason == told["outcome"]["reason"] == "success"
        first = told["ticks"][0]
        assert np.array(first["chunk"]).shape == (8, 1)
        assert "chunk" not in told["ticks"][1]
        assert row.action_low == (round(float(actions.min()), 4),)
        assert row.action_high == (round(float(actions.max()), 4),)
