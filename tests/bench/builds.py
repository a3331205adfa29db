"""What tests hand to worker processes; a worker imports it by this module's name."""

from __future__ import annotations

from fakes import OneJoint, Reach

from vibrissa.bench.evaluate import Setup
from vibrissa.control.pilots import Zero


def zero_setup() -> Setup:
    return Setup("zero", OneJoint, Reach, lambda _arm: Zero())


def no_setup(what: type[BaseException]) -> Setup:
    raise what("no such thing")
