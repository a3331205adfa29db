"""Which robot recorded: its joints say so; the free text of `robot_type` does not.

LeRobot has written `so101`, `so101_follower`, `so_follower` and, for some time, nothing at all
for the same arm. Only the name of another kind of arm with the same six joints counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from vibrissa.core.units import JOINTS

SO101 = "so101"
OTHERS = ("koch", "moss", "omx")  # LeRobot's other arms, whose six joints have the same names


def is_so101(robot_type: object, *vectors: Sequence[str]) -> bool:
    """Whether vectors with these channel names (state, action) are the joints of one SO-101."""
    return all(plain(names) == JOINTS for names in vectors) and not names_another(robot_type)


def robot_named(robot_type: object, *vectors: Sequence[str]) -> str:
    """The robot's name in a contract: `so101` by its joints, else what `robot_type` says."""
    if is_so101(robot_type, *vectors):
        return SO101
    said = str(robot_type or "unknown").removesuffix("_follower")
    return f"{said} with other joints" if said == SO101 else said


def names_another(robot_type: object) -> bool:
    """Whether the text names one of `OTHERS`: `koch`, `koch_follower`, `omx_follower`."""
    words = str(robot_type or "").lower().replace("-", "_").split("_")
    return any(word in OTHERS for word in words)


def plain(names: Sequence[str]) -> tuple[str, ...]:
    """Joint names without LeRobot's `.pos`, and without the prefix of its older arms (`main_`)."""
    bare = tuple(name.removesuffix(".pos") for name in names)
    prefixes = {name.removesuffix(joint) for name, joint in zip(bare, JOINTS, strict=False)}
    prefixed = len(bare) == len(JOINTS) and len(prefixes) == 1
    return JOINTS if prefixed and all(map(str.endswith, bare, JOINTS)) else bare
