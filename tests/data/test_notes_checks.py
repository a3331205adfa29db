"""Our notes that are gone, or that belong to other episodes, are reported."""

from __future__ import annotations

import shutil
from pathlib import Path

from data.recordings import contract, record

from vibrissa.bench.demonstrations import seeds_of
from vibrissa.data.dataset import open_dataset
from vibrissa.data.notes_checks import lost_notes


def test_notes_that_were_lost_or_are_stale_are_reported(tmp_path: Path) -> None:
    root = record(tmp_path / "set", contract(), 3)
    assert lost_notes(open_dataset(root)) == []
    assert seeds_of(open_dataset(root)) is not None
    notes = root / "meta/vibrissa/episodes.jsonl"
    lines = notes.read_text().splitlines(keepends=True)
    for kept in (lines[:2], [*lines, lines[2]], [lines[1], lines[0], lines[2]]):
        notes.write_text("".join(kept))
        (told,) = lost_notes(open_dataset(root))
        assert "they are not those of the 3 that there are" in told
        assert seeds_of(open_dataset(root)) is None
    shutil.rmtree(root / "meta/vibrissa")
    (told,) = lost_notes(open_dataset(root))
    assert told.startswith("meta/vibrissa is missing, as lerobot-edit-dataset leaves it")
    assert open_dataset(root).contract.robot == "so101"
