"""Which episodes are shown, and that what is shown is what was judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bench.test_rows import row
from fakes import OneJoint, Ramp, Reach
from numpy.typing import NDArray

from vibrissa.bench.evaluate import Setup, evaluate
from vibrissa.bench.films import SIZE, choose, clips, film_into
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.show.video import read_frames


class Seen(OneJoint):
    """A joint that a spectator can look at: the brighter, the farther it has come."""

    def render(self, camera: str, width: int, height: int) -> NDArray[np.uint8]:
        assert camera == "side"
        return np.full((height, width, 3), int(np.clip(120 + 100 * self._q, 0, 255)), np.uint8)


def setup() -> Setup:
    return Setup("policy", Seen, Reach, lambda _arm: ChunkPlayer(4), Ramp(), slots=2)


def test_one_of_each_class_is_chosen_in_their_order() -> None:
    rows = [
        row(1, "TIMEOUT"),
        row(2, ticks=100),
        row(3, "MISSED_GOAL"),
        row(4, ticks=300),
        row(5, ticks=150),
        row(6, "MISSED_GOAL"),
    ]
    assert [r.seed for r in choose(rows)] == [5, 6, 1]


def test_clips_are_the_judged_episodes_again() -> None:
    judged = list(evaluate(setup(), range(5)))
    shown = clips(setup(), judged[1:4])
    assert [c.row.seed for c in shown] == [r.seed for r in judged[1:4]]
    assert [c.row.ticks for c in shown] == [r.ticks for r in judged[1:4]]
    assert all(c.film_mp4[4:8] == b"ftyp" and c.strip_png[1:4] == b"PNG" for c in shown)


def test_every_episode_leaves_a_film(tmp_path: Path) -> None:
    folder = tmp_path / "some films"
    rows = list(evaluate(setup(), [3, 4], film_into(folder)))
    assert sorted(p.name for p in folder.iterdir()) == [
        "seed_000003_SUCCESS.mp4",
        "seed_000004_SUCCESS.mp4",
    ]
    frames = list(read_frames(folder / "seed_000003_SUCCESS.mp4"))
    ticks = next(r.ticks for r in rows if r.seed == 3)
    assert len(frames) == (ticks + 1) // 2
    assert frames[0].shape == (SIZE[1], SIZE[0], 3)
    assert frames[-1].mean() > frames[0].mean() + 20
