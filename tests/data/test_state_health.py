"""Rows whose joints cannot be believed are marked, in the set, in its notes and in the journal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from data import recordings

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Start, StateHealth
from vibrissa.data import features, writer
from vibrissa.data.dataset import open_dataset
from vibrissa.data.disk import Disk
from vibrissa.data.features import STATE_HEALTH
from vibrissa.data.journal import Take, read_take
from vibrissa.data.layout import LOG
from vibrissa.data.log_records import HEAD, ROW, record, records
from vibrissa.data.recorder import Recorder
from vibrissa.data.rows import columns_of, row_type


def _marked(of: Contract, recorder: Recorder, marks: dict[int, StateHealth]) -> None:
    start = Start(of, "pick-place", of.instruction, 0)
    recorder.on_start(start)
    for tick, step in enumerate(recordings.steps(of, 20, 0)):
        seen = replace(step.observation, state_health=marks.get(tick, "ok"))
        recorder.on_step(replace(step, observation=seen))
    recorder.on_end(recordings.ended(start, 20))


def test_joints_that_cannot_be_believed_are_marked_row_by_row(tmp_path: Path) -> None:
    of = recordings.contract()
    with Recorder(tmp_path / "set") as recorder:
        _marked(of, recorder, {3: "leap", 7: "behind", 8: "behind"})
        _marked(of, recorder, {})
    dataset = open_dataset(tmp_path / "set")
    names = dataset.contract.extra["state_healths"]
    told = [names[code] for code in dataset.column("state_health")]
    assert {i: name for i, name in enumerate(told) if name != "ok"} == {
        3: "leap",
        7: "behind",
        8: "behind",
    }
    assert dataset.notes[0]["joints"] == {"leap": 1, "behind": 2}
    assert "joints" not in dataset.notes[1]


def test_a_set_begun_without_marks_goes_on_and_notes_them(tmp_path: Path, monkeypatch) -> None:
    of, out = recordings.contract(), tmp_path / "set"
    whole = features.features_of
    monkeypatch.setattr(
        writer, "features_of", lambda *a: {k: f for k, f in whole(*a).items() if k != STATE_HEALTH}
    )
    with Recorder(out) as recorder:
        _marked(of, recorder, {})
    monkeypatch.undo()
    with Recorder(out, extend=True) as recorder:
        _marked(of, recorder, {3: "leap"})
    dataset = open_dataset(out)
    assert STATE_HEALTH not in dataset.columns
    assert [note.get("joints") for note in dataset.notes] == [None, {"leap": 1}]


def test_a_journal_of_the_format_before_is_read(tmp_path: Path) -> None:
    """Its rows have no health of the joints: they count as well."""
    of, whole = recordings.contract(), tmp_path / "take"
    start = Start(of, "pick-place", of.instruction, 3)
    take = Take(whole, start, {"take": "abc", "session": {"id": "s"}}, 30, 30.0, Disk())
    for step in recordings.steps(of, 30, 3):
        take.add(step)
    take.finish({"reason": "success", "fate": "keep"})
    head = json.loads(next(records((whole / LOG).read_bytes()))[1])
    contract = Contract.from_dict(head["contract"])
    rows = read_take(whole).rows
    old = np.zeros(len(rows), row_type(contract, head["sim_state"], marked=False))
    for name in old.dtype.names or ():
        old[name] = rows[name]
    log = record(HEAD, json.dumps({**head, "journal": 1}).encode())
    log += b"".join(record(ROW, row.tobytes()) for row in old)
    (whole / LOG).write_bytes(log)
    found = read_take(whole).rows
    np.testing.assert_array_equal(found["state"], rows["state"])
    assert set(columns_of(contract, found)[STATE_HEALTH]) == {0}
