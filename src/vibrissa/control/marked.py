"""YAML whose every value knows its line, read as what it must be, or refused with that line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from vibrissa.core.errors import UsageError

_NUMBER, _TEXT, _FLAG = "a number", "text", "true or false"
_KINDS = {"int": _NUMBER, "float": _NUMBER, "str": _TEXT, "bool": _FLAG, "null": "nothing"}


def read_marked(path: Path) -> Marked:
    """The one document of a YAML file. Raises UsageError where there is no such thing."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text: {error}.") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{path}, line {line}: this is no YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise UsageError(f"{path}, line 1: this is no YAML: {told}.") from error
    if node is None:
        raise UsageError(f"{path}, line 1: the file is empty.")
    return Marked(str(path), node)


class Marked:
    """A YAML node and the file it stands in. Every method raises UsageError with file and line."""

    def __init__(self, file: str, node: yaml.Node):
        self._file, self._node = file, node

    @property
    def line(self) -> int:
        return self._node.start_mark.line + 1

    def error(self, told: str) -> UsageError:
        """An error about this value, to be raised by whoever knows more than its type."""
        return UsageError(f"{self._file}, line {self.line}: {told}")

    def fields(
        self, what: str, *, needed: Sequence[str] = (), allowed: Sequence[str] = ()
    ) -> dict[str, Marked]:
        """The entries of a mapping whose keys are known; an unknown one is told its neighbour."""
        found, known = self.entries(what), [*needed, *allowed]
        for key, value in found.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise value.error(
                    f"{what} has no {key!r}.{hint} There is: {', '.join(known) or 'nothing'}."
                )
        missing = [key for key in needed if key not in found]
        if missing:
            raise self.error(f"{what} lacks {', '.join(map(repr, missing))}.")
        return found

    def entries(self, what: str) -> dict[str, Marked]:
        """The entries of a mapping under whatever names; each has the line of its key."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"{what} must be a list of names and values, not {self._told()}.")
        found: dict[str, Marked] = {}
        for key, value in self._node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Marked(self._file, key).error(f"{what} has a key that is no word.")
            if key.value in found:
                raise Marked(self._file, key).error(
                    f"{what} has {key.value!r} twice; the first is in line {found[key.value].line}."
                )
            found[key.value] = Marked(self._file, value)
        return found

    def items(self, what: str) -> list[Marked]:
        """The entries of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"{what} must be a list, such as [a, b], not {self._told()}.")
        return [Marked(self._file, node) for node in self._node.value]

    def is_list(self) -> bool:
        return isinstance(self._node, yaml.SequenceNode)

    def is_text(self) -> bool:
        return self._kind() == _TEXT

    def text(self, what: str) -> str:
        """Words; never empty."""
        if self._kind() != _TEXT or not self._value().strip():
            raise self.error(f"{what} must be text, not {self._told()}.")
        return self._value().strip()

    def word(self, what: str) -> str:
        """Text that may look like a number: an id, a serial number."""
        if self._kind() not in (_TEXT, _NUMBER) or not self._value().strip():
            raise self.error(f"{what} must be text, not {self._told()}.")
        return self._value().strip()

    def choice(self, what: str, options: Iterable[str]) -> str:
        """One of some words."""
        known = list(options)
        if self._value() not in known:
            raise self.error(f"{what} must be one of {', '.join(known)}, not {self._told()}.")
        return self._value()

    def flag(self, what: str) -> bool:
        """true or false."""
        if self._kind() != _FLAG:
            raise self.error(f"{what} must be true or false, not {self._told()}.")
        return self._value().lower() in ("true", "yes", "on")

    def number(self, what: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        try:
            value = float(self._value()) if self._kind() in (_NUMBER, _TEXT) else math.nan
        except ValueError:
            value = math.nan
        if math.isnan(value):
            odd = self._value() if self._kind() == _NUMBER else self._told()  # .nan, .inf
            raise self.error(f"{what} must be a number, not {odd}.")
        if not low <= value <= high:
            raise self.error(f"{what} is {value:g}; it must be from {low:g} to {high:g}.")
        return value

    def whole(self, what: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(what, low, high)
        if not value.is_integer():
            raise self.error(f"{what} is {value:g}; it must be a whole number.")
        return int(value)

    def numbers(self, what: str, names: str, low: float, high: float) -> tuple[float, ...]:
        """As many numbers as `names` has words ("x y z"), each from `low` to `high`."""
        items, wanted = self.items(f"{what} ({names})"), names.split()
        if len(items) != len(wanted):
            raise self.error(f"{what} must be {len(wanted)} numbers ({names}), not {len(items)}.")
        return tuple(
            item.number(f"{what}'s {name}", low, high)
            for item, name in zip(items, wanted, strict=True)
        )

    def _value(self) -> str:
        return self._node.value if isinstance(self._node, yaml.ScalarNode) else ""

    def _kind(self) -> str:
        if not isinstance(self._node, yaml.ScalarNode):
            return "a list" if isinstance(self._node, yaml.SequenceNode) else "names and values"
        return _KINDS.get(self._node.tag.rsplit(":", 1)[-1], _TEXT)

    def _told(self) -> str:
        kind = self._kind()
        return f"{kind} ({self._value()})" if kind in (_NUMBER, _TEXT, _FLAG) else kind


@dataclass(frozen=True)
class Lines:
    """Where each part of a file stands, for what is wrong only with the whole."""

    file: Marked
    parts: dict[str, Marked] = field(default_factory=dict)

    def of(self, *names: str) -> Marked:
        """The first of these parts that the file has, or the file."""
        return next((self.parts[name] for name in names if name in self.parts), self.file)
