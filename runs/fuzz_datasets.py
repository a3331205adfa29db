"""Thousands of damaged datasets: each is one line of an error, or gives LeRobot's own numbers.

    uv run python runs/fuzz_datasets.py --seconds 300

Every case is a small valid dataset (ours, a stranger's with a camera, v2.1) with one random change
to one file: a key dropped, null, retyped or shifted, a column likewise, a file cut or removed. It
is inspected, opened, checked and loaded as `vibrissa train` does. Where that succeeds and stock
LeRobot opens it too, states and the chunks of actions are compared, number by number.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
from data import damages, recordings

from vibrissa.core.contract import CameraSpec

RESULT = Path(__file__).parent / "results" / "fuzz_datasets.json"
CHUNK = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    counts, findings = Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        sets = _sets(Path(folder))
        end_s, seed = time.monotonic() + asked.seconds, asked.first
        while time.monotonic() < end_s:
            kind = list(sets)[seed % len(sets)]
            what, found = _case(sets[kind], Path(folder) / f"case-{seed}", seed)
            counts[what] += 1
            if found:
                findings.append({"set": kind, "seed": seed, "what": what, "found": found})
                print(kind, seed, what, found, flush=True)
            seed += 1
    told = {
        "cases": sum(counts.values()),
        "outcomes": dict(counts),
        "findings": findings,
        "machine": platform.platform(),
        "cores": os.cpu_count(),
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told["outcomes"]))


def _sets(folder: Path) -> dict[str, Path]:
    ours = recordings.record(folder / "ours", recordings.contract(), 3)
    seen = recordings.contract((CameraSpec("eye", 64, 48),), privileged=False)
    theirs = recordings.record(folder / "theirs", seen, 3)
    shutil.rmtree(theirs / "meta" / "vibrissa")
    return {"ours": ours, "theirs": theirs, "v2.1": recordings.to_v21(ours, folder / "old")}


def _case(source: Path, root: Path, seed: int) -> tuple[str, str]:
    """The kind of outcome, and what was found wrong with it."""
    shutil.copytree(source, root)
    did = damages.damage(root, np.random.default_rng(seed))
    try:
        came = damages.outcome(root, root.parent / f"{root.name}.cache", ("observation.state",))
    except BaseException as error:  # every kind of it is what is looked for
        if isinstance(error, KeyboardInterrupt):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return "traceback", f"{did}: {type(error).__name__}: {str(error)[:120]} at {place}"
    finally:
        moved = root.with_name(f"{root.name}.done")
        root.rename(moved)
    try:
        if came.loader is None:
            lines = [line for line in came.said if "\n" in line]
            return ("refused", f"{did}: several lines: {lines[0][:200]}" if lines else "")
        return _compared(moved, came, did)
    finally:
        shutil.rmtree(moved, ignore_errors=True)
        shutil.rmtree(root.parent / f"{root.name}.cache", ignore_errors=True)


def _compared(root: Path, came: damages.Outcome, did: str) -> tuple[str, str]:
    stock = _stock(root)
    if stock is None:
        return "opened, refused by LeRobot", ""
    states, actions, tasks = stock
    assert came.loader is not None
    assert came.dataset is not None
    rows = np.arange(came.loader.frames)
    batch = came.loader.gather(rows, pictures=False)
    for name, mine, theirs in (
        ("state", batch["observation.state"].numpy(), states),
        ("action", batch["action"].numpy(), actions),
    ):
        if mine.shape != theirs.shape or not np.array_equal(mine, theirs):
            return "other numbers", f"{did}: {name} {mine.shape} against {theirs.shape}"
    mine = [
        came.dataset.instruction(index)
        for index, span in came.dataset.spans.items()
        for _ in range(span.stop - span.start)
    ]
    return ("opened as LeRobot does", "" if mine == tasks else f"{did}: other tasks")


def _stock(root: Path) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """States, chunks of actions and tasks of all rows; None where LeRobot gives none."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    try:
        times = {"action": [i / 30 for i in range(CHUNK)]}
        stock = LeRobotDataset("local/x", root=root, delta_timestamps=times, video_backend="pyav")
        rows = [stock[i] for i in range(len(stock))]
        return (
            np.array([row["observation.state"].numpy() for row in rows], np.float32),
            np.array([row["action"].numpy() for row in rows], np.float32),
            [row["task"] for row in rows],
        )
    except BaseException as error:  # whatever it raises, it refuses
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


if __name__ == "__main__":
    main()
