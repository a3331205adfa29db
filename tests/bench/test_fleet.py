"""Judging over Ray: the same rows as here, also where an actor is killed in mid-run."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.builds import mortal_setup

from vibrissa.bench.fleet import connected
from vibrissa.bench.judge import judge
from vibrissa.bench.outcomes import RowFile
from vibrissa.bench.setups import Place, scripted
from vibrissa.core.errors import UsageError, VibrissaError
from vibrissa.sim.tasks import make_scene

SEEDS = range(10)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of this machine, started once: that takes seconds."""
    with connected("local"):
        yield


def outcomes(path: Path) -> list[dict]:
    """The rows of a file by seed, less what a clock tells."""
    rows = [json.loads(line) for line in path.read_text("utf8").splitlines()]
    for row in rows:
        assert row.pop("wall_s") > 0
        row.pop("latency_s")
    return sorted(rows, key=lambda row: row["seed"])


@pytest.mark.timeout(280)
def test_an_actor_that_is_killed_changes_no_row(cluster: None, tmp_path: Path) -> None:
    files = [RowFile(tmp_path / name / "outcomes.jsonl") for name in ("fleet", "here")]
    mark = tmp_path / "mark"
    judge(mortal_setup(mark), SEEDS, keep=files[0].add, fleet="local", workers=1)
    assert mark.exists(), "nobody was killed"
    judge(mortal_setup(mark), SEEDS, keep=files[1].add)
    assert outcomes(files[0].path) == outcomes(files[1].path)
    assert len(outcomes(files[0].path)) == len(SEEDS)


@pytest.mark.timeout(280)
def test_what_an_actor_raises_comes_back_as_it_is(cluster: None) -> None:
    scene = make_scene("lift")
    lost = scripted(Place("no such task", scene), "zero")
    with pytest.raises(VibrissaError, match="no task 'no such task'"):
        judge(lost, SEEDS, fleet="local", workers=1)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **words):
        if name.split(".")[0] == "ray":
            raise ImportError(name)
        return real(name, *rest, **words)

    monkeypatch.setattr(builtins, "__import__", without)
    scene = make_scene("lift")
    with pytest.raises(UsageError, match=r"pip install 'vibrissa\[fleet\]'"):
        judge(scripted(Place("lift", scene), "zero"), SEEDS, fleet="local")
