"""A twin in a process of its own, for a test or a measurement that must not share its threads."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.twin.control import ask

START_S, STOP_S = 120.0, 20.0


@contextlib.contextmanager
def spawned(folder: Path, flags: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """`vibrissa twin --dir folder flags…`, serving when this is entered, stopped when it is left.

    What it prints is in `folder/twin.out`. Raises ArmFault where it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "vibrissa.cli", "twin", "--dir", str(folder), *flags]
    with (folder / "twin.out").open("w") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, text=True)
        try:
            _await(process, folder)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[str], folder: Path) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(UsageError):
            ask(folder, {"do": "status"})
            if "serving" in (folder / "twin.out").read_text():
                return
        time.sleep(0.05)
    words = (folder / "twin.out").read_text().strip()[-400:]
    raise ArmFault(f"the twin in {folder} did not come up: {words or 'it said nothing'}")
