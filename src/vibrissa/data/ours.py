"""Our own files beside LeRobot's, in `meta/vibrissa`: read, and checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vibrissa.core.contract import Contract
from vibrissa.core.errors import ContractError, DatasetError
from vibrissa.core.units import UNITS
from vibrissa.data.features import (
    CODES,
    CONTRACT_FILE,
    EPISODES_FILE,
    LINEAGE_FILE,
    OURS,
    RECORDING_FILE,
)
from vibrissa.data.layout import EpisodeRow
from vibrissa.data.reading import read_json, read_jsonl
from vibrissa.data.values import Value


def is_ours(root: Path) -> bool:
    """Whether our recorder wrote the dataset in `root`, and so its contract."""
    return (root / OURS / CONTRACT_FILE).is_file()


def read_contract(root: Path) -> Contract:
    """The contract that our recorder wrote."""
    file = root / OURS / CONTRACT_FILE
    top = Value(file, "", read_json(file))
    for part in ("state", "action", "privileged"):
        for channel in top[part].items():
            _check_channel(channel)
    for camera in top["cameras"].items():
        camera["name"].text()
        camera["width"].whole(1)
        camera["height"].whole(1)
        if not camera["fovy_deg"].is_absent:
            camera["fovy_deg"].number()
    for key in ("robot", "unit"):
        top[key].text()
    if top["unit"].raw not in (*UNITS, "unknown"):
        raise top["unit"].refused(f"one of {', '.join(UNITS)}, unknown")
    if top["rate_hz"].number() <= 0:
        raise top["rate_hz"].refused("a number above 0")
    for key in ("calibration", "instruction", "action_meaning"):
        if not top[key].is_missing:
            top[key].text()
    extra = top["extra"].mapping() if not top["extra"].is_missing else {}
    for codes in CODES.keys() & extra.keys():
        for word in top["extra"][codes].items():
            word.text()
    try:
        return Contract.from_dict(dict(top.mapping()))
    except ContractError as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error


def backup_of(root: Path) -> Path:
    """Where `lerobot-edit-dataset` leaves the set that it changed in place."""
    return root.with_name(f"{root.name}_old")


def contract_before(root: Path) -> Contract | None:
    """The contract of the set that `root` was before LeRobot edited it; None where it is gone."""
    before = backup_of(root.resolve())
    return read_contract(before) if is_ours(before) else None


def notes_fit(notes: Sequence[Mapping[str, Any]], episodes: Sequence[EpisodeRow]) -> bool:
    """Whether there are no notes, or one of each episode, in order and of as many rows.

    The rows of an episode that was recovered may be fewer than its ticks.
    """
    if not notes:
        return True
    return len(notes) == len(episodes) and all(
        note.get("episode") == row.index
        and (bool(note.get("recovered")) or note.get("ticks") in (None, row.length))
        for note, row in zip(notes, episodes, strict=True)
    )


def read_notes(root: Path, most: int | None = None) -> tuple[dict[str, Any], ...]:
    """What was noted of each episode (of the first `most`); empty for others' data."""
    file = root / OURS / EPISODES_FILE
    if not file.is_file():
        return ()
    notes = read_jsonl(file, most)
    for number, note in enumerate(notes, 1):
        _check_note(Value(file, f"line {number}", note))
    return tuple(notes)


def read_sessions(root: Path) -> tuple[dict[str, Any], ...]:
    """What was noted of each session in which it was recorded; empty for others'."""
    file = root / OURS / RECORDING_FILE
    if not file.is_file():
        return ()
    sessions = Value(file, "", read_json(file))["sessions"]
    if sessions.is_missing:
        return ()
    return tuple(dict(session.mapping()) for session in sessions.items())


def read_lineage(root: Path) -> dict[str, Any]:
    """What the dataset was made from, where it was made from another one; else empty."""
    file = root / OURS / LINEAGE_FILE
    if not file.is_file():
        return {}
    top = Value(file, "", read_json(file))
    for key in ("made", "source", "source_digest"):
        top[key].text()
    if not top["changed"].is_missing:
        top["changed"].mapping()
    return dict(top.mapping())


def _check_channel(channel: Value) -> None:
    channel["name"].text()
    channel["unit"].text()
    for side in ("low", "high"):
        if not channel[side].is_absent:
            channel[side].number()


def _check_note(note: Value) -> None:
    note["episode"].whole()
    note["reason"].text()
    if note["slow"].raw is True:
        note["rate_hz"].number()
    if not note["seed"].is_absent:
        note["seed"].whole()
    if not note["pictures"].is_missing:
        for camera in note["pictures"].mapping():
            for health in note["pictures"][camera].mapping():
                note["pictures"][camera][health].whole()
