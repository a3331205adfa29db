"""No memory left is told as that, and nothing else is."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from vibrissa.core.errors import CheckpointError, OutOfMemory, VibrissaError
from vibrissa.learn import weights
from vibrissa.learn.loading import load_learner
from vibrissa.learn.memory import memory_told
from vibrissa.learn.run import pretrained_folder

SHORT = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has …"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:24] or "bare")
@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_it_is_one_line_with_what_to_do(device: str, error: Exception) -> None:
    with pytest.raises(OutOfMemory) as caught, memory_told(device):
        raise error
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, VibrissaError)
    assert "\n" not in str(caught.value)
    assert ("--device cpu" in str(caught.value)) == (device != "cpu")
    assert "()" not in str(caught.value)


def test_what_torch_really_raises_is_known() -> None:
    with (
        pytest.raises(OutOfMemory, match=r"the policy \(DefaultCPUAllocator: .*4000000"),
        memory_told("cpu"),
    ):
        torch.empty(10**15)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(2, "no file"), KeyError()]
)
def test_what_is_wrong_otherwise_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, memory_told("cpu"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), OutOfMemory),
        (RuntimeError("unable to mmap 9 bytes: Cannot allocate memory (12)"), OutOfMemory),
        (SafetensorError("header too small"), CheckpointError),
    ],
)
def test_weights_that_do_not_fit_in_are_not_called_truncated(
    trained: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: type[Exception]
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(weights, "safe_open", opened)
    with pytest.raises(told):
        load_learner(pretrained_folder(trained), "cpu")
