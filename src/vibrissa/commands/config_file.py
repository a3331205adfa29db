"""A command's options from a YAML file: a flag goes before the file, the file before the default.

What a flag overrides is not read at all, so that a value that would not do here keeps nobody
from giving another. A key that nobody knows is an error with its line and the nearest name.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from vibrissa.control.marked import Marked, read_marked
from vibrissa.core.errors import UsageError

FLAG = "--config"


@dataclass(frozen=True)
class File:
    """A YAML file beside a command: all its entries, and the folder that its paths start from."""

    entries: Mapping[str, Marked]
    folder: Path


def read_file(path: Path, config: type, beside: Sequence[str] = ()) -> File:
    """The entries of `path`: the options of `config`, and the keys `beside` them.

    Raises UsageError with file and line.
    """
    allowed = [*_options(config), *beside]
    return File(read_marked(path).fields("the file", allowed=allowed), path.parent)


def defaults_from(
    config: type, args: Sequence[str], *, beside: Sequence[str] = ()
) -> Any:  # an instance of `config`, or None
    """A `config` that holds what the file of `args`' --config says; None where none is named.

    Raises UsageError with file and line.
    """
    path = named_file(args)
    if path is None:
        return None
    import tyro

    file, hints = read_file(path, config, beside), get_type_hints(config)
    values: dict[str, Any] = {"config": path}
    for one in fields(config):
        entry = file.entries.get(one.name)
        if entry is not None and _belongs_beside(one.name, entry, beside):
            entry = None
        if entry is not None and not _overridden(one.name, args):
            values[one.name] = _value(hints[one.name], entry, one.name, file.folder)
        elif one.name not in values and one.default is MISSING and one.default_factory is MISSING:
            values[one.name] = tyro.MISSING  # a flag has to say it
    return config(**values)


def named_file(args: Sequence[str]) -> Path | None:
    """The file that --config names among `args`, the last one where there are several."""
    named = None
    for here, after in zip_longest(args, args[1:], fillvalue=""):
        if here == FLAG and after and not after.startswith("--"):
            named = after
        elif here.startswith(f"{FLAG}="):
            named = here.partition("=")[2]
    return Path(named) if named else None


def _options(config: type) -> list[str]:
    return [one.name for one in fields(config) if one.name != "config"]


def _overridden(name: str, args: Sequence[str]) -> bool:
    """Whether a flag says it, in any of the forms that the parser knows."""
    words = {name, name.replace("_", "-")}
    flags = {f"--{word}" for word in words} | {f"--no-{word}" for word in words}
    return any(arg.partition("=")[0] in flags for arg in args)


def _belongs_beside(name: str, entry: Marked, beside: Sequence[str]) -> bool:
    """`cameras` is a list of names as an option, and names with devices in a rig."""
    return name in beside and not (entry.is_list() or entry.is_text())


def _value(kind: Any, entry: Marked, name: str, folder: Path) -> Any:
    """The entry as the option's type says."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is tuple:
        return _values(get_args(kind), entry, name)
    if kind is bool:
        return entry.flag(name)
    if kind is int:
        return entry.whole(name, -(2**31), 2**31)
    if kind is float:
        return entry.number(name, float("-inf"), float("inf"))
    if kind is Path:
        return folder / Path(entry.text(name)).expanduser()
    if kind is str:
        return entry.word(name)
    raise UsageError(f"{name} cannot stand in a file; give it as --{name.replace('_', '-')}.")


def _values(kinds: tuple[Any, ...], entry: Marked, name: str) -> tuple[Any, ...]:
    items = entry.items(name)
    each = kinds[0]
    if kinds[-1] is not Ellipsis and len(items) != len(kinds):
        raise entry.error(f"{name} must be {len(kinds)} values, not {len(items)}.")
    return tuple(_value(each, item, name, Path()) for item in items)
