"""Which of the arm's cameras a network's picture feature is: that of its name, unless told."""

from __future__ import annotations

from vibrissa.core.contract import Contract

VIEWS = "views"  # in a contract's extra: picture feature → camera, of a network with other names


def camera_name(key: str) -> str:
    """The whole name of the camera behind a LeRobot picture key."""
    return key.removeprefix("observation.images.").removeprefix("observation.")


def camera_of(contract: Contract, key: str) -> str:
    """The camera of `contract` whose pictures the feature `key` is fed."""
    return contract.extra.get(VIEWS, {}).get(key, camera_name(key))
