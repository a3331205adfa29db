"""Checkpoints of other people: what their numbers mean, worked out, shown, and then confirmed.

One made by stock `lerobot-train` on a dataset of ours has its contract there. One that was
trained before there were contracts has none: it is inferred from its config.json, from the
statistics it normalises with, and from as much of its dataset as there is (meta/info.json and
statistics will do). Nobody is asked to trust a guess: each line says where it comes from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vibrissa.bench.foreign_clues import Said, gather, parse_given, strangeness
from vibrissa.core.contract import Contract
from vibrissa.core.errors import CheckpointError, DatasetError

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.learn.policy import CheckpointPolicy


@dataclass(frozen=True)
class Inferred:
    """A contract that nobody wrote down, and why it is thought to be this one."""

    contract: Contract
    said: tuple[Said, ...]

    @property
    def digest(self) -> str:
        """Eight hex digits that change when any line of it does, but for where the dataset lies."""
        lines = [
            f"{s.what} {s.value if s.what != 'dataset' else ''} {s.sure} {s.source}"
            for s in self.said
        ]
        text = "\n".join([self.contract.digest, *lines])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def lines(self) -> list[str]:
        """A table for a reader: what, value, how sure, from what."""
        whats, values = (max(len(getattr(s, n)) for s in self.said) for n in ("what", "value"))
        return [
            f"        {s.what:<{whats}}  {s.value:<{values}}  {s.sure:<7}  {s.source}"
            for s in self.said
        ]


def open_policy(
    checkpoint: Path,
    *,
    slots: int = 1,
    device: str = "cpu",
    dataset: Path | None = None,
    accepted: Sequence[str] = (),
    given: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> CheckpointPolicy:
    """The policy of any ACT checkpoint, ours, LeRobot's or somebody's.

    Its contract is its own, or that of a dataset of ours: `dataset`, else the one it names, by
    whose statistics it must normalise. Without one it is inferred, told through `say`, and taken
    only where `accepted` holds this inference's digest. given: what somebody knows of it, such as
    unit=m100_100; that it is of no use is told too.

    Raises CheckpointError, DatasetError, UsageError in one line.
    """
    from vibrissa.learn.checkpoint import own_contract
    from vibrissa.learn.policy import load_policy
    from vibrissa.learn.run import pretrained_folder

    parse_given(given)
    pretrained = pretrained_folder(checkpoint)
    contract, whose = own_contract(pretrained), "its own contract"
    if contract is None:
        root, name = _dataset_of(pretrained, dataset)
        contract, whose = _of_ours(root), f"the contract of {root}"
        if contract is None:
            inferred = infer(pretrained, root, name, given)
            _confirm(inferred, pretrained, root, accepted, say)
            return load_policy(checkpoint, slots=slots, device=device, dataset=inferred.contract)
        assert root is not None
        _require_trained_on(pretrained, root, say)
    if given:
        say(f"{pretrained} has {whose}: --given {' '.join(given)} changes nothing about it")
    return load_policy(checkpoint, slots=slots, device=device, dataset=contract)


def infer(
    pretrained: Path, dataset: Path | None = None, name: str = "", given: Sequence[str] = ()
) -> Inferred:
    """The contract of a checkpoint that has none. dataset: its folder, whole or meta/ alone.

    given: what is known better than by inference, each as key=value: unit, rate, instruction.

    Raises CheckpointError where the network is not one of an SO-101's joints, or where no unit
    can be told; DatasetError for a dataset that cannot be read.
    """
    from vibrissa.bench.foreign_reading import read_clues

    clues = gather(pretrained, dataset, name)
    contract, said = read_clues(replace(clues, given=parse_given(given)))
    return Inferred(contract, said)


def _dataset_of(pretrained: Path, dataset: Path | None) -> tuple[Path | None, str]:
    """Its dataset's folder, where one is at hand, and what it is called, for a reader."""
    from vibrissa.learn.checkpoint import named_dataset

    named, name = named_dataset(pretrained)
    if dataset is not None or named is None or named.is_dir():
        return dataset or named, repr(name) if name else ""
    return None, f"{name!r}, which is not at {named}"


def _of_ours(root: Path | None) -> Contract | None:
    """The contract of a dataset that our recorder wrote. Raises DatasetError for a broken one."""
    from vibrissa.core.errors import ContractError
    from vibrissa.data.features import CONTRACT_FILE, OURS
    from vibrissa.data.layout import read_json

    if root is None or not (root / OURS / CONTRACT_FILE).is_file():
        return None
    try:
        return Contract.from_dict(read_json(root / OURS / CONTRACT_FILE))
    except ContractError as error:
        raise DatasetError(f"{root / OURS / CONTRACT_FILE} cannot be read: {error}") from error


def _require_trained_on(pretrained: Path, dataset: Path, say: Callable[[str], None]) -> None:
    """Raise CheckpointError where the statistics say that it was trained on another dataset."""
    clues = gather(pretrained, dataset)
    off = strangeness(clues)
    if off is not None and off.far:
        raise CheckpointError(
            f"{pretrained} was not trained on {dataset}: {off.told}. Name the dataset that it was "
            "trained on: --dataset PATH."
        )
    if off is not None and not off.same:
        say(
            f"warning {dataset} is not as {pretrained} was trained on it: {off.told}. Was it "
            "edited or extended since, or is it another one? Name the right one: --dataset PATH."
        )


def _confirm(
    inferred: Inferred,
    pretrained: Path,
    dataset: Path | None,
    accepted: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Show it; raise CheckpointError unless it is what was accepted."""
    say(f"{pretrained} has no contract; this was inferred:")
    for line in inferred.lines():
        say(line)
    if inferred.digest in accepted:
        return
    seen = " camera.front=overhead" if inferred.contract.cameras else ""
    more = " With its dataset there is less to guess: --dataset PATH." * (dataset is None)
    other = f"{', '.join(accepted)} is another inference's. " if accepted else ""
    raise CheckpointError(
        f"{other}Nothing was done with {pretrained}: read what was inferred above, the guesses "
        f"first. If it is right: --accept-inferred {inferred.digest}. What you know better: "
        f"--given unit=m100_100 rate=15 instruction='…'{seen}.{more}"
    )
