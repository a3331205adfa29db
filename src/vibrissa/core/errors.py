"""The one family of errors that a user is meant to read.

A message says what was given, what was allowed and what to do. `cli.main` prints it as one
line and exits with 1; every other exception keeps its traceback, because it is a bug.
"""

from __future__ import annotations


class VibrissaError(Exception):
    """Something a user can put right."""


class ContractError(VibrissaError):
    """Numbers that do not mean what the other side thinks they mean."""


class ArmFault(VibrissaError):
    """The arm (real or simulated) cannot go on."""


class PolicyFault(VibrissaError):
    """A policy gave something that no arm should be sent: NaN, a wrong shape."""


class DatasetError(VibrissaError):
    """A dataset that is missing, broken, or not what was asked for."""


class CheckpointError(VibrissaError):
    """A checkpoint that is missing, truncated, or of another arm."""


class UsageError(VibrissaError):
    """An option, a name or a path that makes no sense."""


class OutOfMemory(VibrissaError, MemoryError):
    """The computer, or its GPU, has no memory left: no fault of who happened to ask for more."""
