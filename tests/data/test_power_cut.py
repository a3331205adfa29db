"""What is promised is there after a power cut, and would not be without the journal's syncs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).resolve().parents[2] / "runs" / "power_cut.py"
Op = tuple[str, Any, Any]


@pytest.fixture(scope="module")
def cut() -> Any:
    spec = importlib.util.spec_from_file_location("power_cut", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["power_cut"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recorded(cut: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Op]]:
    root = tmp_path_factory.mktemp("cut") / "set"
    return root, list(cut.recorded(root, ()).ops)


def wrong(cut: Any, root: Path, ops: list[Op], out: Path) -> str:
    """What is missing right behind a promise, on a disk that has only what was synced."""
    promised = [i + 1 for i, op in enumerate(ops) if op[0] in ("rows", "ended")]
    for point in promised:
        left = out / f"{point}"
        cut.lay_out(left, cut.disk_after(ops[:point], root, None, False))
        if told := cut.judge(left, ops[:point]):
            return told
    return ""


def test_what_was_promised_is_there(cut: Any, recorded: tuple[Path, list[Op]], tmp_path) -> None:
    root, ops = recorded
    assert sum(op[0] in ("rows", "ended") for op in ops) >= 9
    assert wrong(cut, root, ops, tmp_path) == ""


def _sync_of_logs(op: Op) -> bool:
    return op[0] == "sync" and op[1].name == "log"


def _names_in_the_journal(op: Op) -> bool:
    return op[0] == "names" and op[1].name == "journal"


def _names_in_takes(op: Op) -> bool:
    return op[0] == "names" and op[1].parent.name == "journal"


@pytest.mark.parametrize("taken_out", [_sync_of_logs, _names_in_the_journal, _names_in_takes])
def test_a_sync_that_is_taken_out_is_noticed(
    cut: Any, recorded: tuple[Path, list[Op]], tmp_path, taken_out: Callable[[Op], bool]
) -> None:
    root, ops = recorded
    left = [op for op in ops if not taken_out(op)]
    assert len(left) < len(ops)
    assert wrong(cut, root, left, tmp_path) != ""
