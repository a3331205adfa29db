"""Finding out in a process of its own: a library that crashes while it loads takes nobody along.

A probe is a module that prints one JSON object as the last line of its output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vibrissa.machine.facts import Trouble

PATIENCE_S = 90.0


def probe(module: str, patience_s: float = PATIENCE_S) -> Mapping[str, Any] | Trouble:
    """What `python -m module` says; Trouble with its last words where it fails."""
    command = [sys.executable, "-m", module]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=patience_s, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return Trouble(f"no answer within {patience_s:g} s")
    if done.returncode < 0:
        return Trouble(f"it crashed (signal {-done.returncode})")
    if done.returncode:
        return Trouble(_last_line(done.stderr) or f"it ended with code {done.returncode}")
    try:
        told = json.loads(_last_line(done.stdout))
    except ValueError:
        told = None
    return told if isinstance(told, dict) else Trouble("its answer could not be read")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
