"""The page of `vibrissa compare`, as a browser lays it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bench.test_rows import row
from chromium import Browser, check_page

from vibrissa import cli
from vibrissa.bench.outcomes import RowFile

LONG = "act-vision-200-demonstrations-wide-spawn-seed-3"
PARTS = ["contenders", "every-pair", "what-became-of-the-episodes", "settings", "machine"]


def outcomes(folder: Path, rate: float) -> Path:
    """What an evaluation of 40 episodes left."""
    file, rng = RowFile(folder / "outcomes.jsonl"), np.random.default_rng(0)
    for seed in range(40):
        kind = "SUCCESS" if rng.uniform() < rate else "NEVER_PICKED_UP"
        file.add(row(seed, kind, spawn=(0.2, 0.2, 0.1)))
    return folder


def test_contenders_with_rows_and_with_counts(tmp_path: Path, capsys, chromium: Browser) -> None:
    out = tmp_path / "compared"
    words = [f"{LONG}={outcomes(tmp_path / 'a', 0.9)}", f"base={outcomes(tmp_path / 'b', 0.4)}"]
    argv = ["compare", *words, "published=32/50", "--out", str(out), "--no-films"]
    assert cli.main(argv) == 0, capsys.readouterr().err
    look = check_page(chromium, out / "compare.html", PARTS, tmp_path)
    assert LONG in look.measured["text"]
    headline = look.measured["headline"]
    assert headline == f"{LONG} is better than all the others; 3 of 3 pairs are separated"
