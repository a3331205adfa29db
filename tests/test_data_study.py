"""The study of demonstrations against steps: each cell made once, and told in pairs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vibrissa.bench.outcomes import Row, RowFile

ROOT = Path(__file__).resolve().parents[1]
SOLVED = {(2, 5): 1, (2, 10): 2, (8, 5): 3, (8, 10): 8}  # of 8, by demonstrations and steps


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, list[tuple[str, ...]]]:
    """The script, with commands that leave what they would have left."""
    spec = importlib.util.spec_from_file_location("data_study", ROOT / "runs" / "data_study.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "data_study", module)
    spec.loader.exec_module(module)
    called: list[tuple[str, ...]] = []

    def command(*words: str) -> None:
        called.append(words)
        out = Path(words[words.index("--out") + 1])
        out.mkdir(parents=True)
        if words[0] == "eval":
            _, demonstrations, steps = out.name.split("-")
            rows = RowFile(out / "outcomes.jsonl")
            for seed in range(8):
                reason = "success" if seed < SOLVED[int(demonstrations), int(steps)] else "timeout"
                rows.add(Row(seed, "policy", "pick-place", reason, reason.upper(), 10))
            (out / "report.json").write_text("{}")

    monkeypatch.setattr(module, "_vibrissa", command)
    return module, called


def test_every_cell_is_made_once_and_data_stands_against_steps(study, tmp_path: Path) -> None:
    module, called = study
    cfg = module.Config(tmp_path / "work", (2, 8), (5, 10), 8, tmp_path / "told.json")
    module.main(cfg)
    assert sorted(words[0] for words in called) == ["eval"] * 4 + ["record"] * 2 + ["train"] * 4
    told = json.loads(cfg.result.read_text())
    found = {(c["demonstrations"], c["steps"]): c["success"] for c in told["cells"]}
    assert found == SOLVED
    assert told["more_data"]["difference"] == pytest.approx((3 - 1) / 8)
    assert told["more_steps"]["difference"] == pytest.approx((2 - 1) / 8)
    assert told["data_against_steps"]["difference"] == pytest.approx((3 - 2) / 8)
    assert told["both"]["difference"] == pytest.approx((8 - 1) / 8)
    assert told["both"]["p_paired"] == pytest.approx(2 / 2**7)
    module.main(cfg)
    assert len(called) == 10  # nothing is done again
