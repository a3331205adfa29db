"""Whether a dataset still has what our recorder noted of it.

LeRobot's own editing (`lerobot-edit-dataset`) writes a copy without meta/vibrissa. Where the folder
was copied over by hand, its notes belong to other episodes.
"""

from __future__ import annotations

from vibrissa.core.contract import differences
from vibrissa.data import ours
from vibrissa.data.dataset import Dataset
from vibrissa.data.features import ASKED, SOURCE, WALL_TIME

RECORDED = (ASKED, SOURCE, WALL_TIME)  # columns that only our recorder writes


def lost_notes(dataset: Dataset) -> list[str]:
    """What LeRobot's editing left out or left behind, and notes that are of other episodes."""
    if not dataset.is_ours:
        return [_rebuilt(dataset)] if len(set(RECORDED) & set(dataset.features)) > 1 else []
    told = []
    if not ours.notes_fit(dataset.noted, dataset.episodes):
        told.append(
            f"meta/vibrissa has notes of {len(dataset.noted)} episodes, and they are not those of "
            f"the {len(dataset.episodes)} that there are: it was edited since. Its seeds and "
            "outcomes are not used."
        )
    instruction = ours.read_contract(dataset.root).instruction
    if instruction and dataset.tasks and instruction not in dataset.tasks:
        told.append(
            f"meta/vibrissa says that the instruction is {instruction!r}, and the tasks are "
            f"{', '.join(map(repr, dataset.tasks))}: they were changed since. The tasks are used."
        )
    return told


def _rebuilt(dataset: Dataset) -> str:
    before = ours.contract_before(dataset.root)
    if before is not None and not differences(dataset.contract, before):
        name = ours.backup_of(dataset.root).name
        rebuilt = f"The contract is that of {name}, which lies beside it"
    else:
        rebuilt = (
            "Joints, their unit, cameras and privileged channels are inferred from names and "
            "numbers; fields of view and calibration are not known"
        )
    return (
        "meta/vibrissa is missing, as lerobot-edit-dataset leaves it: seeds, outcomes and sessions "
        f"are not known any more. {rebuilt}. Keep the recording that it was made from."
    )
