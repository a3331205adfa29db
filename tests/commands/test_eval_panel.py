"""`vibrissa eval --panel`: one factor at a time, and the expert in the same scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands.test_eval_sweeps import EXPERT, told

from vibrissa.bench.judge import judge
from vibrissa.bench.outcomes import read_rows
from vibrissa.bench.panel import felt, panel_cells
from vibrissa.bench.setups import place_for
from vibrissa.bench.sites import beside
from vibrissa.bench.trials import Trial


def test_a_panel_varies_one_factor_at_a_time_and_leaves_out_what_nobody_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*EXPERT, "--panel", "strong", "--episodes", "2", "--out", str(out)]
    result = told(capsys, *words)
    felt = ["friction", "mass", "size", "start", "distractors", "action_latency", "joint_noise"]
    assert result["cells"][0]["cell"] == "nominal"
    assert sorted(c["cell"] for c in result["cells"][1:]) == sorted(f"strong:{n}" for n in felt)
    assert "sees no pictures: camera, fovy, light" in result["notes"][0]
    (row, _) = read_rows(out / "cells" / "strong_mass" / "outcomes.jsonl")
    assert list(row.sampled) == ["mass"]
    (nominal, _) = read_rows(out / "cells" / "nominal" / "outcomes.jsonl")
    assert row.spawn is not None
    assert row.spawn[:2] == pytest.approx(nominal.spawn[:2], abs=1e-3)  # type: ignore[index]


def test_a_panel_has_the_expert_try_what_it_can_feel(
    debug_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(debug_run), "--panel", "strong", "--episodes", "1", "--device", "cpu"]
    result = told(capsys, *words, "--out", str(tmp_path / "out"))
    assert {cell["beside"]["expert"]["episodes"] for cell in result["cells"]} == {1}
    tried = sorted(p.name for p in (tmp_path / "out" / "cells").glob("*expert"))
    assert len(tried) == len(result["cells"]) == 8  # no factor of pictures alone is left in
    assert result["beside"]["zero"]["success"] == 0
    assert "lost by it too" in (tmp_path / "out" / "report.md").read_text("utf8")


def test_pictures_alone_do_not_reach_the_expert() -> None:
    place = place_for(None, task="pick-place")
    place = replace(place, cameras=tuple(camera.name for camera in place.scene.cameras))
    cells, left_out = panel_cells(Trial(place), ["strong"])
    assert left_out == ()
    unseen = [cells[0], *(cell for cell in cells if cell not in felt(cells))]
    assert len(unseen) > 5
    first, *others = (
        judge(beside(cell, "expert").trial.setup(None), [2_000_001], quiet=True)[0]
        for cell in unseen
    )
    for one in others:
        assert set(one.differing(first)) <= {"sampled"}


def test_a_panel_of_what_solves_nothing_says_that_it_can_lose_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--pilot", "zero", "--task", "lift", "--panel", "light", "--episodes", "1"]
    headline = told(capsys, *words)["headline"]
    assert headline == "Nothing to lose: it solves 0/1 (0–79 %) with nothing varied"
