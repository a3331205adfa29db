"""Thousands of damaged datasets: each is one line of an error, or gives LeRobot's own samples.

    uv run python runs/fuzz_datasets.py --seconds 600

Every case is a small valid dataset (ours, strangers' with a film or PNG, v2.1, v2.0) with one
random change to one file: a key dropped, null, retyped or shifted, a column or a picture likewise,
a file cut or removed. It is inspected, opened, checked and loaded as `vibrissa train` does. Where
that succeeds and stock LeRobot gives samples too, states, chunks of actions, tasks and pictures of
all rows are compared. A change that keeps the kind of numbers and fits all else is no damage that
anybody can see, so it is the comparison that counts.
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
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.transforms import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
from data import damages
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from vibrissa.core.stats import clopper_pearson

RESULT = Path(__file__).parent / "results" / "fuzz_datasets.json"
CHUNK = 4
NEAR = 1.01 / 255  # one grey level
WRONG = ("traceback", "several lines", "other numbers", "other tasks", "other pictures")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    began_s = time.monotonic()
    counts, by_set, findings = Counter[str](), Counter[str](), []
    refusals: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        sets = damages.healthy(Path(folder) / "sets")
        seed = asked.first
        while time.monotonic() < began_s + asked.seconds:
            kind = damages.KINDS_OF_SETS[seed % len(sets)]
            what, said = _case(sets[kind], Path(folder) / f"case-{seed}", seed)
            counts[what] += 1
            by_set[kind] += 1
            if what in WRONG:
                findings.append({"set": kind, "seed": seed, "what": what, "found": said})
                print(kind, seed, what, said, flush=True)
            if what == "refused, read by LeRobot":
                refusals.append({"set": kind, "seed": seed, "said": said})
            seed += 1
    _publish(counts, by_set, findings, refusals, time.monotonic() - began_s)


def _publish(counts: Counter, by_set: Counter, findings: list, refusals: list, wall_s: float):
    tried, compared = counts.total(), counts["as LeRobot"]
    compared += sum(counts[what] for what in WRONG if what.startswith("other"))
    wrong = sum(counts[what] for what in WRONG)
    others = sum(counts[what] for what in WRONG if what.startswith("other"))
    result: dict[str, Any] = {
        "what": "Datasets with one random change: one line, or the samples that LeRobot gives.",
        "tried": tried,
        "outcomes": dict(counts),
        "by set": dict(by_set),
        "wrong": wrong,
        "interval": [round(end, 6) for end in clopper_pearson(wrong, tried)],
        "compared with LeRobot": compared,
        "other than LeRobot": others,
        "interval of these": [round(end, 6) for end in clopper_pearson(others, compared)],
        "which": findings,
        "some refused, read by LeRobot": refusals[:40],
        "machine": {"platform": platform.platform(), "cores": os.cpu_count()},
        "wall_s": round(wall_s, 1),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["outcomes"]), wrong, "wrong")


def _case(source: Path, root: Path, seed: int) -> tuple[str, str]:
    """The kind of outcome, and what was done and said."""
    shutil.copytree(source, root)
    cache = root.with_suffix(".cache")
    did = damages.damage(root, np.random.default_rng(seed))
    try:
        came = damages.outcome(root, cache)
        lines = [line for line in came.said if "\n" in line]
        if lines:
            return "several lines", f"{did}: {lines[0][:200]}"
        what, said = _compared(root, came)
        return what, f"{did}: {said}"
    except BaseException as error:  # every kind of it is what is looked for
        if isinstance(error, KeyboardInterrupt):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return "traceback", f"{did}: {type(error).__name__}: {str(error)[:120]} at {place}"
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(cache, ignore_errors=True)


def _compared(root: Path, came: damages.Outcome) -> tuple[str, str]:
    stock = None if root.joinpath("meta", "episodes.jsonl").exists() else _stock(root)
    if came.loader is None:
        return ("refused, read by LeRobot" if stock else "refused"), came.said[-1][:300]
    if stock is None:
        return "read, refused by LeRobot", ""
    assert came.dataset is not None
    batch = came.loader.gather(np.arange(came.loader.frames))
    if len(stock) != came.loader.frames:
        return "other numbers", f"{came.loader.frames} rows against {len(stock)}"
    for name in ("observation.state", "action"):
        theirs = torch.stack([row[name] for row in stock]).float()
        if batch[name].shape != theirs.shape or not torch.equal(batch[name], theirs):
            return "other numbers", f"{name} {batch[name].shape} against {theirs.shape}"
    spans = came.dataset.spans.items()
    mine = [came.dataset.instruction(index) for index, s in spans for _ in range(s.stop - s.start)]
    if mine != [row["task"] for row in stock]:
        return "other tasks", ""
    for key in (key for key in batch if key.startswith("observation.images.")):
        for place, (picture, row) in enumerate(zip(batch[key], stock, strict=True)):
            if len(row[key]) != 3:  # grey, a palette, alpha: LeRobot's ACT takes three channels
                return "read, refused by LeRobot", ""
            theirs = functional.resize(row[key].float(), list(picture.shape[1:]))
            if not torch.allclose(picture, theirs, rtol=0, atol=NEAR):
                return "other pictures", f"{key}, row {place}"
    return "as LeRobot", ""


def _stock(root: Path) -> list[Any] | None:
    """The samples of all rows; None where LeRobot gives none."""
    try:
        times = {"action": [i / 30 for i in range(CHUNK)]}
        stock = LeRobotDataset("local/x", root=root, delta_timestamps=times, video_backend="pyav")
        return [stock[i] for i in range(len(stock))] or None
    except BaseException as error:  # whatever it raises, it refuses
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


if __name__ == "__main__":
    main()
