"""Installed packages beside the versions that are known to work together.

The list lies in the package itself, as `known_good.txt`, so that it is there after an
installation too; a test holds it equal to the pins in pyproject.toml.
"""

from __future__ import annotations

import importlib.metadata
from importlib.resources import files

from packaging.requirements import InvalidRequirement, Requirement

from vibrissa.machine.facts import Package

KNOWN_GOOD = "known_good.txt"
OURS = "vibrissa"


def known_good() -> dict[str, str]:
    """Name → version, names as `canonical` writes them."""
    lines = files("vibrissa.machine").joinpath(KNOWN_GOOD).read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pins}


def installed() -> tuple[Package, ...]:
    """Every package that is known or needed: what is installed of it, and whether that fits.

    Raises ValueError where Vibrissa's own metadata cannot be read.
    """
    good, needs = known_good(), _needs()
    return tuple(
        _package(name, good.get(name, ""), needs.get(name)) for name in sorted({*good, *needs})
    )


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _package(name: str, good: str, need: Requirement | None) -> Package:
    version = _version(name)
    wanted = str(need.specifier) if need is not None else ""
    fits = need is None or version is None or need.specifier.contains(version, prereleases=True)
    return Package(name, version, good, wanted, fits)


def _needs() -> dict[str, Requirement]:
    """What Vibrissa asks for itself, extras left out."""
    try:
        rows = importlib.metadata.requires(OURS) or []
        needed = [Requirement(row) for row in rows]
    except (importlib.metadata.PackageNotFoundError, InvalidRequirement) as error:
        raise ValueError(f"what Vibrissa needs is not known: {error}") from error
    here = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    return {canonical(need.name): need for need in here}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
