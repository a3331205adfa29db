"""docs/faults.md: every fault that the twin knows, under every command, and nothing that hangs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vibrissa.twin.camera_faults import CAMERA_FAULTS
from vibrissa.twin.faults import BUS_FAULTS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf8")
RESULT = json.loads((ROOT / "runs" / "results" / "faults.json").read_text("utf8"))
COMMANDS = ("teleop", "record", "deploy")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults_script", ROOT / "runs" / "faults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_every_fault_is_tried_under_every_command() -> None:
    tried = {(cell["where"], cell["kind"], cell["command"]) for cell in RESULT["cells"]}
    registered = [("bus", kind) for kind in BUS_FAULTS]
    registered += [("camera", kind) for kind in CAMERA_FAULTS]
    wanted = {(*fault, command) for fault in registered for command in COMMANDS}
    assert wanted - tried == set()


def test_the_page_is_made_of_what_was_found(script: ModuleType) -> None:
    assert script.page(RESULT) == PAGE


def test_nothing_hangs_and_whatever_ends_a_command_is_told_in_its_last_line() -> None:
    for cell in RESULT["cells"]:
        assert cell["exit"] is not None, cell
        if cell["exit"] == 1:
            assert cell["sees"][-1].startswith("vibrissa: "), cell
        assert "UNREADABLE" not in cell["kept"], cell
