"""What is known of a computer, as plain frozen data: gathered elsewhere, judged elsewhere.

So a machine that nobody here owns (a card of tomorrow, a disk that cannot be written) is a value
in a test. A part that could not be found out is a `Trouble` that says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trouble:
    """Why something is not known: one line."""

    why: str


@dataclass(frozen=True)
class System:
    """name: Linux, Darwin or Windows. release: the kernel's own words. python: major, minor, …"""

    name: str
    release: str
    machine: str
    python: tuple[int, int, int]


@dataclass(frozen=True)
class Package:
    """One distribution: what is installed (None: nothing) and what is known to work.

    needs: the versions that Vibrissa itself asks for, "" where it asks for none; fits: whether
    the installed one is among them.
    """

    name: str
    installed: str | None
    known_good: str = ""
    needs: str = ""
    fits: bool = True


@dataclass(frozen=True)
class Gpu:
    """A graphics card as torch sees it: its architecture (12, 0) is sm_120."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int = 0


@dataclass(frozen=True)
class Torch:
    """A build of torch. cuda: the CUDA it was built for, "" for none; rocm likewise.

    architectures: what the build has code for (`sm_90`, `compute_90`). error: why CUDA could not
    be started. threads: how many torch would use.
    """

    version: str
    cuda: str = ""
    rocm: str = ""
    architectures: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    mps: bool = False
    error: str = ""
    threads: int = 1


@dataclass(frozen=True)
class Drawing:
    """An OpenGL that works, in words, and pictures a second of the pick-place scene."""

    told: str
    software: bool
    frames_per_s: float
    picture: str


@dataclass(frozen=True)
class Video:
    """Versions, "" where not installed. torchcodec_error: why it does not load, "" if it does."""

    pyav: str
    torchcodec: str
    torchcodec_error: str = ""


@dataclass(frozen=True)
class Mount:
    """One line of a mount table, and its size where it was asked (0: not known)."""

    device: str
    point: str
    kind: str
    options: tuple[str, ...]
    total_bytes: int = 0
    free_bytes: int = 0

    @property
    def read_only(self) -> bool:
        return "ro" in self.options


@dataclass(frozen=True)
class Disk:
    """The disk behind `folder`. mount: None where the system keeps no mount table.

    written: bytes a second of a small file that was written there, then deleted; unwritable: why
    it could not be. others: the other mounts that hold files.
    """

    folder: str
    total_bytes: int
    free_bytes: int
    mount: Mount | None = None
    others: tuple[Mount, ...] = ()
    written: float = 0.0
    unwritable: str = ""


@dataclass(frozen=True)
class Need:
    """What a run of a recipe leaves on the disk: so many checkpoints of so many bytes."""

    recipe: str
    checkpoints: int
    checkpoint_bytes: int

    @property
    def bytes(self) -> int:
        return self.checkpoints * self.checkpoint_bytes


@dataclass(frozen=True)
class Cache:
    """A folder of things that can be had again. whole: whether every file was counted."""

    name: str
    folder: str
    bytes: int
    whole: bool = True


@dataclass(frozen=True)
class Hub:
    """How Hugging Face's libraries are set: variables that are set, whether there is a token."""

    variables: Mapping[str, str]
    token: bool
    caches: tuple[Cache, ...] = ()


@dataclass(frozen=True)
class Processor:
    """cores: in the machine; usable: by this process; quota: by its container, 0 for no limit.

    Memory in bytes, 0 where it is not known. variables: those that set numbers of threads.
    """

    cores: int
    usable: int
    quota: float = 0.0
    memory_bytes: int = 0
    free_bytes: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that `checks.examine` looks at. nvidia: the cards that the driver's own tool names."""

    system: System
    packages: tuple[Package, ...] | Trouble
    torch: Torch | Trouble
    drawing: Drawing | Trouble
    video: Video | Trouble
    disk: Disk | Trouble
    hub: Hub | Trouble
    processor: Processor | Trouble
    needs: tuple[Need, ...] = ()
    nvidia: tuple[str, ...] = ()
