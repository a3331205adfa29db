"""What tests of training share and pytest does not hand out."""

from __future__ import annotations

from vibrissa.core.contract import CameraSpec

EYES = (CameraSpec("front", 48, 32, 60.0), CameraSpec("wrist", 48, 32))


def quiet(_: str) -> None:
    """Says nothing."""
