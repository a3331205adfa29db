"""A sweep's page says what was compared with what, and reads on a phone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from bench.test_rows import row
from chromium import Browser, check_page

from vibrissa.bench.outcomes import Row, summarise
from vibrissa.bench.pages import to_markdown, write_page
from vibrissa.bench.picking import Picked
from vibrissa.bench.setups import place_for
from vibrissa.bench.sweep_page import lines, page, picked_page, shown
from vibrissa.bench.sweeps import Cell, Judged, verdicts
from vibrissa.bench.trials import Trial

TRIAL = Trial(place_for(None, task="pick-place"))


def rows(wins: int, of: int = 60) -> list[Row]:
    """So many successes, from places all over the usual spawn area."""
    rng = np.random.default_rng(0)
    x0, y0, half = TRIAL.place.area()
    made = []
    for seed in range(of):
        x, y = rng.uniform(-half, half, 2) + (x0, y0)
        kind = "SUCCESS" if seed < wins else "MISSED_GOAL"
        spawn = (float(x), float(y), float(rng.uniform(-3, 3)))
        made.append(row(seed, kind, spawn=spawn, inferences=6, latency_s=(0.01, 0.02), jump=0.05))
    return made


def judged() -> list[Judged]:
    names = ("horizon=25 (its own)", "horizon=1", "horizon=5,grip=offset=-0.05,clip=-0.1:1.2")
    cells = [Cell(name, TRIAL) for name in names]
    return verdicts(cells, [rows(40), rows(12), rows(42)])


def test_the_page_of_a_sweep(tmp_path: Path, chromium: Browser) -> None:
    told = page(
        judged(),
        title="sweep",
        headline="1 of 2 settings differ",
        sentence="60 episodes a row.",
        beside={"expert": summarise(rows(60)), "zero": summarise(rows(0))},
        settings={"sweep": "horizon=1,5"},
        notes=["Something was left out."],
        maps=True,
    )
    text = to_markdown(told)
    assert "40/60 (54–77 %)" in text
    assert "−47 points (" in text
    assert "0 / 28" in text
    assert "worse" in text
    assert "+3 points (" in text
    assert "not separated" in text
    assert "exact McNemar" in text
    assert "Something was left out." in text
    path = write_page(told, tmp_path / "sweep", {})
    look = check_page(chromium, path, ["success", "verdicts", "how-it-was-played"], tmp_path)
    assert "asks/s" in look.measured["text"]


def test_the_page_of_a_choice_keeps_choice_and_result_apart(
    tmp_path: Path, chromium: Browser
) -> None:
    cells = [Cell(f"0000{i}0", TRIAL) for i in range(3)]
    chosen = verdicts(cells, [rows(30), rows(50), rows(20)])
    last, winner = verdicts([cells[2], cells[1]], [rows(22), rows(41)])
    picked = Picked(chosen, range(3000, 3060), range(2000, 2060), winner, last)
    assert picked.to_dict()["success"] == 41  # and never the 50 that it was chosen by
    assert "50 of 60: a count that flatters" in picked.sentence
    assert picked.sentence.endswith("it solved 41/60 (56–79 %).")
    told = picked_page(picked, {})
    assert told.headline == "Checkpoint 000010: 41/60 (56–79 %) on new seeds"
    write_page(told, tmp_path / "picked", picked.to_dict())
    check_page(chromium, tmp_path / "picked" / "report.html", ["the-choice"], tmp_path)


def test_a_line_a_cell() -> None:
    told = lines(judged(), {"zero": summarise(rows(0))})
    assert told[0].split("  ")[0] == "horizon=25 (its own)"
    assert "baseline" in told[0]
    assert "−47 points (−58 to −32): worse, p" in told[1]
    assert told[3].endswith("0/60 (0–6 %)")
    assert all("\n" not in line for line in told)


def test_faults_and_missing_numbers_are_dashes() -> None:
    broken = [replace(r, jump=None, inferences=0, latency_s=(0.0, 0.0)) for r in rows(3, 6)]
    told = verdicts([Cell("a", TRIAL), Cell("b", TRIAL)], [broken, broken])
    made = page(told, title="t", headline="h", sentence="s", beside={}, settings={})
    assert "–" in to_markdown(made)


def test_names_of_settings_may_break_at_blanks() -> None:
    assert shown("light:camera_latency") == "light: camera_latency"
    assert shown("horizon=5,grip=offset=-0.05,clip=-0.1:1.2") == (
        "horizon=5, grip=offset=-0.05, clip=-0.1:1.2"
    )
