"""A build of torch against the graphics card: is there code in it that the card can run?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from vibrissa.machine.facts import Facts, Gpu, Torch, Trouble
from vibrissa.machine.lines import Line, broken, ok, size, warning

Code = Literal["native", "compiled", "none"]

# The first CUDA whose compiler knows an architecture (CUDA toolkit release notes, "compute
# capability"); the wheels of torch are named by the CUDA they were built with.
FIRST_CUDA = {
    (8, 0): "11.0",
    (8, 6): "11.1",
    (8, 9): "11.8",
    (9, 0): "11.8",
    (10, 0): "12.8",
    (10, 3): "12.9",
    (12, 0): "12.8",
    (12, 1): "12.9",
}
# Of the wheels of torch 2.11 only these have code for cards before Turing (7.5): Maxwell, Pascal,
# Volta (github.com/pytorch/pytorch, RELEASE.md, "CUDA support matrix").
OLD_WHEELS, NEW_WHEELS = "cu126", "cu130"
WHEELS = "https://download.pytorch.org/whl"


@dataclass(frozen=True)
class _Arch:
    """`sm_90a`: machine code for 9.0 alone; `sm_80`: for 8.0 and later 8.x; `compute_90`: for
    the driver to compile.
    """

    virtual: bool
    capability: tuple[int, int]
    exact: bool


def code_for(architectures: tuple[str, ...], capability: tuple[int, int]) -> Code:
    """What the build has for a card: machine code, code for the driver to compile, or nothing.

    Machine code runs on cards of the same major number and at least its minor number; the
    intermediate code (`compute_`) on every card from its number on. (CUDA C++ Programming Guide,
    "Application Compatibility".)
    """
    archs = [arch for name in architectures if (arch := _parse(name))]
    if any(_runs(arch, capability) for arch in archs if not arch.virtual):
        return "native"
    if any(arch.virtual and not arch.exact and arch.capability <= capability for arch in archs):
        return "compiled"
    return "none"


def check_torch(facts: Facts) -> list[Line]:
    """torch itself, and every card."""
    torch = facts.torch
    if isinstance(torch, Trouble):
        do = "install it again: uv sync, or python -m pip install --force-reinstall torch"
        return [broken("torch", f"cannot be loaded: {torch.why}", do)]
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.rocm}" if torch.rocm else "CPU"
    lines = [ok("torch", f"{torch.version}, built for {built}")]
    if torch.mps:
        lines.append(ok("GPU", "Apple's (mps): --device mps; figures are made without it"))
    pins = _pins(facts)
    return lines + ([_card(torch, gpu, pins) for gpu in torch.gpus] or _no_card(facts, torch, pins))


def _card(torch: Torch, gpu: Gpu, pins: str) -> Line:
    arch = "sm_{}{}".format(*gpu.capability)
    told = f"{gpu.name}, {arch}, {size(gpu.memory_bytes)}"
    if torch.rocm:
        return ok("GPU", told)
    code = code_for(torch.architectures, gpu.capability)
    if code == "native":
        return ok("GPU", told)
    if code == "compiled":
        do = "nothing; the first run is slow while the driver compiles. " + _install(gpu, pins)
        return warning("GPU", f"{told}: this torch has no machine code for {arch}", do)
    has = ", ".join(torch.architectures) or "nothing"
    told = f"{told}: torch {torch.version} has no code for it (it has {has})"
    return warning("GPU", told, f"{_install(gpu, pins)}; until then --device cpu")


def _install(gpu: Gpu, pins: str) -> str:
    """Which build of torch has code for this card."""
    if gpu.capability < (7, 5):
        return f"install an older build: uv pip install {pins} --index-url {WHEELS}/{OLD_WHEELS}"
    first = FIRST_CUDA.get(gpu.capability)
    least = f"for CUDA {first} or newer" if first else "as new as there is"
    return (
        f"install a build of torch {least}: uv pip install --upgrade {pins} "
        f"--index-url {WHEELS}/{NEW_WHEELS}"
    )


def _no_card(facts: Facts, torch: Torch, pins: str) -> list[Line]:
    if torch.mps:
        return []
    if not facts.nvidia:
        return [ok("GPU", "none; recipes for a CPU exist (act-state)")]
    cards = ", ".join(facts.nvidia)
    if not torch.cuda:
        do = f"uv pip install --upgrade {pins} --index-url {WHEELS}/{NEW_WHEELS}"
        return [warning("GPU", f"{cards}, but this torch is built for CPUs", do)]
    why = torch.error or "CUDA finds no device"
    do = "update NVIDIA's driver, reboot if it was updated, and see that nvidia-smi works"
    return [warning("GPU", f"{cards}, but torch cannot use it: {why}", do)]


def _pins(facts: Facts) -> str:
    """torch and torchvision in their known good versions, as pip wants them."""
    found = () if isinstance(facts.packages, Trouble) else facts.packages
    good = {package.name: package.known_good for package in found}
    return " ".join(f"{n}=={good[n]}" if good.get(n) else n for n in ("torch", "torchvision"))


def _runs(arch: _Arch, capability: tuple[int, int]) -> bool:
    if arch.exact:
        return arch.capability == capability
    return arch.capability[0] == capability[0] and arch.capability <= capability


def _parse(name: str) -> _Arch | None:
    """`sm_120` is 12.0; the last digit is the minor number. None for what is no architecture."""
    found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name)
    if not found:
        return None
    kind, major, minor, suffix = found.groups()
    return _Arch(kind == "compute", (int(major), int(minor)), bool(suffix))
