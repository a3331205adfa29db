"""A torch build against a card: cards of tomorrow and of yesterday, by injected facts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine.computers import CU124, CU130, about, facts

from vibrissa.machine.facts import Gpu, Trouble
from vibrissa.machine.gpu import check_torch, code_for

RTX_5090 = Gpu("NVIDIA GeForce RTX 5090", (12, 0), 34 * 10**9)
RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9), 25 * 10**9)
H200 = Gpu("NVIDIA H200", (9, 0), 150 * 10**9)
GTX_1080 = Gpu("NVIDIA GeForce GTX 1080", (6, 1), 8 * 10**9)


def test_a_blackwell_card_and_an_old_build() -> None:
    """The newest card, a build from before it: said before training says `no kernel image`."""
    torch = {"version": "2.5.1+cu124", "cuda": "12.4", "architectures": CU124, "gpus": (RTX_5090,)}
    told = about(check_torch(facts(torch=torch)), "GPU")
    assert told.state == "warning"
    assert "RTX 5090, sm_120, 34 GB: torch 2.5.1+cu124 has no code for it" in told.told
    assert "for CUDA 12.8 or newer" in told.do
    assert "torch==2.11.0 torchvision --index-url https://download.pytorch.org/whl/cu130" in told.do
    assert "--device cpu" in told.do


@pytest.mark.parametrize("gpu", [RTX_5090, RTX_4090, H200])
def test_the_known_good_build_runs_on_them(gpu: Gpu) -> None:
    told = about(check_torch(facts(torch={"gpus": (gpu,)})), "GPU")
    assert told.state == "ok"
    assert gpu.name in told.told


def test_a_card_that_new_builds_have_left_behind() -> None:
    told = about(check_torch(facts(torch={"gpus": (GTX_1080,)})), "GPU")
    assert told.state == "warning"
    assert "sm_61" in told.told
    assert told.do.startswith("install an older build")
    assert "whl/cu126" in told.do


def test_every_card_has_its_line() -> None:
    old = {"architectures": CU124, "gpus": (RTX_5090, H200)}
    states = [x.state for x in check_torch(facts(torch=old)) if x.about == "GPU"]
    assert states == ["warning", "ok"]


@pytest.mark.parametrize(
    ("architectures", "capability", "code"),
    [
        (("sm_80",), (8, 6), "native"),  # same major number, later minor
        (("sm_86",), (8, 0), "none"),  # but never an earlier one
        (("sm_90a",), (9, 0), "native"),
        (("sm_100a",), (10, 3), "none"),  # for this very architecture alone
        (("sm_75", "compute_75"), (12, 0), "compiled"),
        (("compute_120",), (9, 0), "none"),
        (("compute_90a",), (12, 0), "none"),
        (("gfx90a", ""), (9, 0), "none"),
        ((), (8, 0), "none"),
    ],
)
def test_what_code_runs_where(architectures, capability, code) -> None:
    assert code_for(architectures, capability) == code


@given(st.sampled_from(CU130 + CU124), st.integers(5, 13), st.integers(0, 9))
def test_more_architectures_never_take_one_away(extra: str, major: int, minor: int) -> None:
    order = ("none", "compiled", "native")
    before = code_for(CU124, (major, minor))
    assert order.index(code_for((*CU124, extra), (major, minor))) >= order.index(before)


def test_a_card_that_torch_cannot_use() -> None:
    card = ("NVIDIA RTX A2000 (driver 470.1)",)
    old = facts(nvidia=card, torch={"error": "The NVIDIA driver on your system is too old"})
    told = about(check_torch(old), "GPU")
    assert told.state == "warning"
    assert "too old" in told.told
    cpu = about(check_torch(facts(nvidia=card, torch={"cuda": ""})), "GPU")
    assert "built for CPUs" in cpu.told
    assert "pip install" in cpu.do


def test_no_card_is_no_fault_and_no_torch_is() -> None:
    assert about(check_torch(facts()), "GPU").state == "ok"
    (line,) = check_torch(facts(torch=Trouble("libcudart.so.12: cannot open shared object file")))
    assert line.state == "broken"
    assert "libcudart" in line.told


def test_compiled_code_and_other_makers() -> None:
    ptx = {"architectures": ("sm_80", "compute_90"), "gpus": (RTX_5090,)}
    told = about(check_torch(facts(torch=ptx)), "GPU")
    assert (told.state, "no machine code" in told.told) == ("warning", True)
    amd = {"cuda": "", "rocm": "6.4", "gpus": (Gpu("AMD Radeon PRO W7900", (11, 0)),)}
    lines = check_torch(facts(torch=amd))
    assert about(lines, "torch").told.endswith("built for ROCm 6.4")
    assert about(lines, "GPU").state == "ok"
    apple = check_torch(facts(torch={"cuda": "", "mps": True}))
    assert "--device mps" in about(apple, "GPU").told
