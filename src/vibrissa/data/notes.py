"""What our recorder noted of each episode of a dataset, added to when more is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vibrissa.data import layout
from vibrissa.data.disk import Disk, plain, writing
from vibrissa.data.features import EPISODES_FILE, OURS


def add_to_notes(root: Path, known: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> int:
    """Add to each episode's note what `known` says of it; of how many it said anything.

    0 where `root` holds no notes, or a recording that was cut off, which is to be recovered
    first. Raises DatasetError where the notes cannot be read or the disk refuses; they are then
    as they were.
    """
    path = root / OURS / EPISODES_FILE
    if not path.is_file() or layout.is_open(root):
        return 0
    notes = layout.read_jsonl(path)
    more = [dict(known(note)) for note in notes]
    told = [{**note, **new} for note, new in zip(notes, more, strict=True)]
    if told != notes:
        disk, part = Disk(), path.with_suffix(".part")
        content = "".join(json.dumps(note, default=plain) + "\n" for note in told)
        with writing(path, left="The notes are as they were."):
            disk.write(part, content.encode())
            disk.rename(part, path)
            disk.sync_folder(path.parent)
    return sum(map(bool, more))
