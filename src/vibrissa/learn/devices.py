"""What torch this is and which cards it sees, as JSON: `python -m vibrissa.learn.devices`.

Run in a process of its own, because a build that does not fit a driver may not survive being asked.
"""

from __future__ import annotations

import json
from typing import Any

import torch


def describe() -> dict[str, Any]:
    """The fields of `machine.facts.Torch`."""
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda or "",
        "rocm": getattr(torch.version, "hip", None) or "",
        "architectures": torch.cuda.get_arch_list(),
        "gpus": _cards(),
        "mps": torch.backends.mps.is_available(),
        "error": _error(),
        "threads": torch.get_num_threads(),
    }


def _cards() -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        return []
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [
        {
            "name": card.name,
            "capability": (card.major, card.minor),
            "memory_bytes": card.total_memory,
        }
        for card in cards
    ]


def _error() -> str:
    """Why CUDA cannot be started, in torch's own words; "" where it can, or was not built in."""
    if not torch.version.cuda or torch.cuda.is_available():
        return ""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0]
    return ""


if __name__ == "__main__":
    print(json.dumps(describe()))
