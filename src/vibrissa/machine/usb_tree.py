"""A USB tree to take along: what /sys and /dev say of it, as one JSON file.

So the tree of somebody who asks for help can be judged elsewhere, and a test can make one up. It
holds names, speeds, powers and serial numbers of what is plugged in, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from vibrissa.core.errors import UsageError
from vibrissa.machine.usb import DEVICES

DEVICE_FILES = (
    *("idVendor", "idProduct", "manufacturer", "product", "serial", "speed", "busnum", "devpath"),
    *("maxchild", "bMaxPower", "bmAttributes", "bDeviceClass", "version"),
)
INTERFACE_FILES = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
VIDEO_FILES = ("name", "index")
LINKS = ("dev/serial/by-id", "dev/serial/by-path", "dev/v4l/by-id", "dev/v4l/by-path")
NODES = ("dev/ttyACM*", "dev/ttyUSB*", "dev/video*")
ARROW = "-> "  # before the target of a link

Tree = Mapping[str, str]


def record_tree(root: Path = Path("/")) -> dict[str, str]:
    """Path below `root` → what the file says, or where the link leads."""
    found = dict(_sys(root))
    for folder in LINKS:
        for link in sorted(root.joinpath(folder).glob("*")):
            with contextlib.suppress(OSError):
                found[f"{folder}/{link.name}"] = ARROW + link.readlink().as_posix()
    for pattern in NODES:
        found |= {f"dev/{node.name}": "" for node in sorted(root.glob(pattern))}
    return found


def lay_out(tree: Tree, root: Path) -> None:
    """Makes folders, files and links below `root` that read like the recorded machine's.

    Raises UsageError where a path of the tree would lead out of `root`.
    """
    for name, told in tree.items():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise UsageError(f"{name!r} is no path of a recorded USB tree.")
        path = root / parts
        path.parent.mkdir(parents=True, exist_ok=True)
        if told.startswith(ARROW):
            path.symlink_to(told.removeprefix(ARROW))
        else:
            path.write_text(told, encoding="utf-8")


def save_tree(tree: Tree, file: Path) -> None:
    """Writes it as JSON. Raises UsageError where the file cannot be written."""
    try:
        file.write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from error


def load_tree(file: Path) -> Tree:
    """Reads one. Raises UsageError where the file is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(told, str) for told in found.values()):
        raise UsageError(f"{file} is no recorded USB tree. Make one with --save-tree {file.name}.")
    return found


def _sys(root: Path) -> Iterator[tuple[str, str]]:
    folder = root / "sys" / DEVICES
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        below = f"sys/{DEVICES}/{entry.name}"
        names = INTERFACE_FILES if ":" in entry.name else DEVICE_FILES
        yield from _files(entry, names, below)
        if (entry / "driver").is_symlink() and ":" in entry.name:
            yield f"{below}/driver", ARROW + f"drivers/{(entry / 'driver').readlink().name}"
        for node in sorted([*entry.glob("tty/*"), *entry.glob("ttyUSB*")]):
            yield f"{below}/{node.relative_to(entry).as_posix()}/dev", ""
        for node in sorted(entry.glob("video4linux/*")):
            yield from _files(node, VIDEO_FILES, f"{below}/video4linux/{node.name}")


def _files(folder: Path, names: tuple[str, ...], below: str) -> Iterator[tuple[str, str]]:
    for name in names:
        with contextlib.suppress(OSError):
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
            yield f"{below}/{name}", text.strip()
