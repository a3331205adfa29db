"""Torch without memory, told apart from a policy that is wrong: it is the machine's trouble."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vibrissa.core.errors import OutOfMemory

# How torch and its libraries say it where they raise a plain RuntimeError: the CPU's allocator, a
# GPU's driver and libraries, Apple's; and what the system itself says (ENOMEM).
TOLD_BY = (
    "not enough memory: you tried to allocate",
    "can't allocate memory: you tried to allocate",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Cannot allocate memory",
)
_WHERE = re.compile(r"^\[enforce fail at .*?\] .*?\. ")  # a line of torch's own source
MOST_CHARACTERS = 200  # of torch's own words, which on a GPU are a paragraph


def is_short(error: BaseException) -> bool:
    """Whether `error` says that there was no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(words.lower() in str(error).lower() for words in TOLD_BY)


@contextmanager
def memory_told(device: str) -> Iterator[None]:
    """Turns whatever torch raises for want of memory on `device` into OutOfMemory, one line."""
    try:
        yield
    except OutOfMemory:
        raise
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_short(error):
            raise
        raise OutOfMemory(_line(device, error)) from error


def _line(device: str, error: BaseException) -> str:
    words = _WHERE.sub("", " ".join(str(error).split()))[:MOST_CHARACTERS].rstrip(".")
    why = f" ({words})" if words else ""
    if device == "cpu":
        return (
            f"this computer has no memory left for the policy{why}. Close what else runs on it, or "
            "take a smaller policy."
        )
    return (
        f"{device} has no memory left for the policy{why}. Close what else uses it, or take "
        "--device cpu."
    )
