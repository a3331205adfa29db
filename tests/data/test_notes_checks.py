"""Our notes that are gone, or that belong to other episodes, are reported."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from data.recordings import contract, record
from lerobot.datasets import dataset_tools
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from vibrissa.bench.demonstrations import seeds_of
from vibrissa.core.contract import Channel, differences
from vibrissa.data.dataset import open_dataset
from vibrissa.data.notes_checks import lost_notes

PRIVILEGED = replace(
    contract(()), privileged=(Channel("block.x", "m"), Channel("block.sin2yaw", "1", -1.0, 1.0))
)


def test_notes_that_were_lost_or_are_stale_are_reported(tmp_path: Path) -> None:
    root = record(tmp_path / "set", contract(), 3)
    assert lost_notes(open_dataset(root)) == []
    assert seeds_of(open_dataset(root)) is not None
    notes = root / "meta/vibrissa/episodes.jsonl"
    lines = notes.read_text().splitlines(keepends=True)
    for kept in (lines[:2], [*lines, lines[2]], [lines[1], lines[0], lines[2]]):
        notes.write_text("".join(kept))
        (told,) = lost_notes(open_dataset(root))
        assert "they are not those of the 3 that there are" in told
        assert seeds_of(open_dataset(root)) is None
    shutil.rmtree(root / "meta/vibrissa")
    (told,) = lost_notes(open_dataset(root))
    assert told.startswith("meta/vibrissa is missing, as lerobot-edit-dataset leaves it")
    assert open_dataset(root).contract.robot == "so101"


def test_notes_of_as_many_other_episodes_are_not_used(tmp_path: Path) -> None:
    """One deleted and one recorded since: the count is right, the rows are not."""
    root = record(tmp_path / "set", contract(), 3)
    notes = root / "meta/vibrissa/episodes.jsonl"
    told = [json.loads(line) for line in notes.read_text().splitlines()]
    told[1]["ticks"] += 1
    notes.write_text("".join(json.dumps(note) + "\n" for note in told))
    dataset = open_dataset(root)
    assert (dataset.notes, len(dataset.noted)) == ((), 3)
    assert "Its seeds and outcomes are not used" in lost_notes(dataset)[0]
    told[1]["recovered"] = True  # cut where its pictures end
    notes.write_text("".join(json.dumps(note) + "\n" for note in told))
    assert len(open_dataset(root).notes) == 3


def test_lerobot_s_own_edits_leave_a_contract_that_fits(tmp_path: Path) -> None:
    """Deleted, merged and with another task: the numbers still mean what they meant."""
    whole = record(tmp_path / "set", PRIVILEGED, 3)
    meant = open_dataset(whole).contract

    def stock(root: Path) -> LeRobotDataset:
        return LeRobotDataset("local/x", root=root)

    fewer = tmp_path / "fewer"
    dataset_tools.delete_episodes(stock(whole), [1], output_dir=fewer, repo_id="local/fewer")
    both = tmp_path / "both"
    dataset_tools.merge_datasets([stock(whole), stock(fewer)], "local/both", output_dir=both)
    for root, episodes in ((fewer, 2), (both, 5)):
        dataset = open_dataset(root)
        assert (len(dataset.episodes), dataset.is_ours, dataset.notes) == (episodes, False, ())
        assert differences(dataset.contract, meant) == []
        assert "inferred from names and numbers" in lost_notes(dataset)[0]
        assert seeds_of(dataset) is None
    shutil.copytree(whole, tmp_path / "fewer_old")
    beside = open_dataset(fewer)
    assert beside.contract == meant
    assert "The contract is that of fewer_old" in lost_notes(beside)[0]
    dataset_tools.modify_tasks(stock(whole), new_task="Do it")
    renamed = open_dataset(whole)
    assert renamed.contract.instruction == "Do it"
    assert "the tasks are 'Do it'" in lost_notes(renamed)[0]
    assert seeds_of(renamed) is not None  # the episodes are the same


def test_a_contract_beside_that_says_something_else_is_not_taken(tmp_path: Path) -> None:
    whole = record(tmp_path / "set", contract(), 1)
    other = replace(contract(), rate_hz=contract().rate_hz * 2)
    record(tmp_path / "set_old", other, 1)
    shutil.rmtree(whole / "meta/vibrissa")
    assert open_dataset(whole).contract.rate_hz == contract().rate_hz
    assert "inferred" in lost_notes(open_dataset(whole))[0]
