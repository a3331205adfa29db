"""`vibrissa twin …`: an emulated rig, and what one does to it while it is served."""

from __future__ import annotations

import os
from pathlib import Path


def folder_of(given: Path | None) -> Path:
    """Where a twin is found: the folder that was named, else one for each user."""
    return given or Path(f"/tmp/vibrissa-twin-{os.getuid()}")
