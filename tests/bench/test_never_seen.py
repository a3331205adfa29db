"""A report says "never seen" only after it looked at the seeds of the demonstrations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data.recordings import contract, record

from vibrissa.bench.source import never_seen
from vibrissa.core.seeds import HELD_OUT

JUDGED = [HELD_OUT, HELD_OUT + 1]
NOTES = "meta/vibrissa/episodes.jsonl"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("seeds") / "set", contract(), 2)


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    """A run's folder that names a dataset of its own."""
    shutil.copytree(recorded, tmp_path / "set")
    (tmp_path / "run.json").write_text(json.dumps({"dataset": {"path": str(tmp_path / "set")}}))
    return tmp_path


def _noted(run: Path, seeds: list[int | None]) -> None:
    file = run / "set" / NOTES
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    for note, seed in zip(notes, seeds, strict=True):
        note.pop("seed", None)
        note |= {} if seed is None else {"seed": seed}
    file.write_text("".join(json.dumps(note) + "\n" for note in notes))


def test_other_seeds_that_are_noted_were_never_seen(run: Path) -> None:
    _noted(run, [0, 1])
    assert never_seen(run, JUDGED)
    assert not never_seen(run, [5, HELD_OUT])  # not held out
    assert never_seen(None, JUDGED)  # a pilot that nobody trained


def test_a_demonstration_of_a_judged_seed_was_seen(run: Path) -> None:
    _noted(run, [0, HELD_OUT + 1])
    assert not never_seen(run, JUDGED)


def test_nobody_looked_where_seeds_are_not_noted_or_the_dataset_is_gone(run: Path) -> None:
    _noted(run, [0, None])
    assert not never_seen(run, JUDGED)
    (run / "set" / NOTES).unlink()
    assert not never_seen(run, JUDGED)
    shutil.rmtree(run / "set")
    assert not never_seen(run, JUDGED)


def test_nobody_looked_where_the_dataset_cannot_be_read_or_its_notes_are_of_other_episodes(
    run: Path,
) -> None:
    _noted(run, [0, 1])
    notes = run / "set" / NOTES
    whole = notes.read_text()
    notes.write_text(whole + json.dumps({"episode": 2, "seed": 2}) + "\n")
    assert not never_seen(run, JUDGED)  # one note more than there are episodes
    notes.write_text(whole)
    assert never_seen(run, JUDGED)
    (run / "set" / "meta" / "info.json").write_text("{")
    assert not never_seen(run, JUDGED)
