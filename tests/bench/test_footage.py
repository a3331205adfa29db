"""A deployment's report carries its films: one of each class, none that is broken or too long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.test_deployment import book_in

from vibrissa.bench import footage
from vibrissa.bench.logbook import film_of, label
from vibrissa.bench.outcomes import Row
from vibrissa.show.video import write_mp4


def filmed(folder: Path, classes: list[str]) -> None:
    book = book_in(folder)
    for number, name in enumerate(classes):
        reason = "success" if name == "SUCCESS" else "failure"
        book.add(Row(number, "policy", "reach", reason, name, 12))
        shots = [np.full((48, 64, 3), 10 * number + n, np.uint8) for n in range(12)]
        write_mp4(film_of(folder, number), shots, 30.0)


def test_one_film_of_each_class_is_on_the_page(tmp_path: Path) -> None:
    filmed(tmp_path, ["SUCCESS", "SUCCESS", "MISSED_GOAL", "FAILURE"])
    footage.with_films(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:video/mp4;base64,") == 3
    assert page.count("data:image/png;base64,") >= 3
    label(tmp_path, 4, "missed-goal")
    footage.with_films(tmp_path)
    assert (tmp_path / "report.html").read_text().count("data:video/mp4;base64,") == 2


def test_a_film_that_is_broken_or_too_long_costs_the_page_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed(tmp_path, ["SUCCESS", "FAILURE"])
    film_of(tmp_path, 0).write_bytes(b"no film")
    footage.with_films(tmp_path)
    assert (tmp_path / "report.html").read_text().count("data:video/mp4;base64,") == 1
    monkeypatch.setattr(footage, "MOST_BYTES", 10)
    assert footage.clips_of(tmp_path, []) == []
