from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.weights import load_weights


class Tied(nn.Module):
    """Two names for one weight, as language models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.body = nn.Linear(3, 3)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_model(Tied(), str(tmp_path / "model.safetensors"))
    return tmp_path


def change(folder: Path, **tensors: torch.Tensor | None) -> None:
    file = folder / "model.safetensors"
    stored = {**load_file(file), **{k.replace("__", "."): v for k, v in tensors.items()}}
    save_file({k: v for k, v in stored.items() if v is not None}, file)


def test_every_weight_is_filled_and_ties_hold(saved: Path) -> None:
    model = Tied()
    load_weights(model, saved)
    assert model.head.weight is model.embed.weight
    stored = load_file(saved / "model.safetensors")
    assert len(stored) == 3  # of four names
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, stored.get(name, model.embed.weight))


def test_a_missing_weight_is_named(saved: Path) -> None:
    change(saved, body__bias=None)
    with pytest.raises(CheckpointError, match=r"1 missing: body\.bias"):
        load_weights(Tied(), saved)


def test_tied_weights_that_are_both_missing_are_missing(saved: Path) -> None:
    change(saved, embed__weight=None, head__weight=None)
    with pytest.raises(CheckpointError, match=r"2 missing: embed\.weight, head\.weight"):
        load_weights(Tied(), saved)


def test_unexpected_misshapen_and_broken_weights_are_named(saved: Path) -> None:
    change(
        saved,
        other=torch.ones(2),
        body__weight=torch.ones(3, 4),
        body__bias=torch.full((3,), torch.nan),
    )
    with pytest.raises(CheckpointError) as told:
        load_weights(Tied(), saved)
    assert "1 unexpected: other" in str(told.value)
    assert "body.weight (3, 4) instead of (3, 3)" in str(told.value)
    assert "not finite: body.bias" in str(told.value)


@pytest.mark.parametrize("part", [0, 0.3, 0.99])
def test_a_truncated_file_is_one_line(saved: Path, part: float) -> None:
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(CheckpointError, match="truncated or no safetensors"):
        load_weights(Tied(), saved)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    torch.save(Tied().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is a pickle"):
        load_weights(Tied(), tmp_path)
