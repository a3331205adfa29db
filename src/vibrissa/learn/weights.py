"""Loading weights, with proof that every one of them came from the file.

LeRobot loads with `strict=False`: what is missing keeps its random numbers, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.memory import memory_told

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
LFS = b"version https://git-lfs"  # how a Git LFS pointer begins


def load_weights(model: nn.Module, folder: Path, stored: dict[str, Tensor] | None = None) -> None:
    """Fill every parameter and buffer of `model` from `folder`/model.safetensors, or from `stored`,
    what `read_weights` found in it.

    A name that is not in the file is fine only if it shares its memory with one that is (tied
    weights). Raises CheckpointError, naming what is missing, unexpected, of another shape or
    type (whole numbers for real ones) or not finite, and for a file that is absent or cut short.
    Pickles are never read.
    """
    stored = read_weights(folder) if stored is None else stored
    wanted = model.state_dict(keep_vars=True)
    _check_names(wanted, stored, folder)
    with torch.no_grad():
        for name, tensor in stored.items():
            wanted[name].copy_(tensor)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of `folder`/model.safetensors, by name. Raises CheckpointError."""
    with _opened(folder) as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, by name. Raises CheckpointError where it is cut short."""
    try:
        with safe_open(file, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is truncated or no safetensors file: {error}.") from error


def require_whole(folder: Path) -> None:
    """Raise CheckpointError where `folder`/model.safetensors is missing or not of its length."""
    with _opened(folder):
        return


@contextmanager
def _opened(folder: Path) -> Iterator[Any]:
    """The file, whose header is read and compared with its length. Raises CheckpointError."""
    file = folder / WEIGHTS
    if not file.is_file():
        pickles = [p.name for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth", ".ckpt")]
        also = f" ({', '.join(pickles)} is a pickle, which is never loaded)" if pickles else ""
        if (folder / ADAPTER).is_file():
            also = (
                f" ({ADAPTER} alone changes another model's weights; merge the two and save them)"
            )
        raise CheckpointError(f"no {WEIGHTS} in {folder}{also}.")
    if _is_pointer(file):
        raise CheckpointError(
            f"{file} is a Git LFS pointer: the weights were never fetched. Run git lfs pull there."
        )
    try:
        with memory_told("cpu"), safe_open(file, framework="pt") as stored:
            yield stored
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is truncated or no safetensors file: {error}.") from error


def _is_pointer(file: Path) -> bool:
    """Whether Git left a note where the weights should be."""
    with file.open("rb") as opened:
        return opened.read(len(LFS)) == LFS


def _check_names(wanted: dict[str, Tensor], stored: dict[str, Tensor], folder: Path) -> None:
    filled = {_place(wanted[name]) for name in stored if name in wanted}
    missing = [n for n, t in wanted.items() if n not in stored and _place(t) not in filled]
    unexpected = [name for name in stored if name not in wanted]
    shapes = [
        f"{n} {tuple(stored[n].shape)} instead of {tuple(t.shape)}"
        for n, t in wanted.items()
        if n in stored and stored[n].shape != t.shape
    ]
    kinds = [
        f"{n} {_kind(stored[n])} instead of {_kind(t)}"
        for n, t in wanted.items()
        if n in stored and stored[n].is_floating_point() != t.is_floating_point()
    ]
    broken = [n for n, t in stored.items() if t.is_floating_point() and not t.isfinite().all()]
    troubles = {
        "missing": missing,
        "unexpected": unexpected,
        "of another shape": shapes,
        "of another type": kinds,
        "not finite": broken,
    }
    told = [f"{len(names)} {what}: {_some(names)}" for what, names in troubles.items() if names]
    if told:
        raise CheckpointError(f"the weights in {folder / WEIGHTS} do not fit: {'; '.join(told)}.")


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _place(tensor: Tensor) -> tuple[object, ...]:
    """Where a tensor lives: two names with one place are one weight."""
    storage = tensor.untyped_storage().data_ptr()
    return storage, tensor.storage_offset(), tensor.shape, tuple(tensor.stride())


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
