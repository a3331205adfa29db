"""Whether a dataset still has what our recorder noted of it.

LeRobot's own editing (`lerobot-edit-dataset`) writes a copy without meta/vibrissa. Where the folder
was copied over by hand, its notes belong to other episodes.
"""

from __future__ import annotations

from vibrissa.data.dataset import Dataset
from vibrissa.data.features import ASKED, SOURCE, WALL_TIME

RECORDED = (ASKED, SOURCE, WALL_TIME)  # columns that only our recorder writes


def lost_notes(dataset: Dataset) -> list[str]:
    """What LeRobot's editing left out, and notes that are those of other episodes."""
    if not dataset.is_ours and set(RECORDED) <= set(dataset.features):
        return [
            "meta/vibrissa is missing, as lerobot-edit-dataset leaves it: contract, seeds, "
            "outcomes and sessions are not known any more. Joints, their unit and cameras are "
            "inferred from the rest. Keep the recording that it was made from."
        ]
    if notes_fit(dataset):
        return []
    return [
        f"meta/vibrissa has notes of {len(dataset.notes)} episodes, and they are not those of the "
        f"{len(dataset.episodes)} that there are: it was edited since. Do not trust its seeds and "
        "outcomes."
    ]


def notes_fit(dataset: Dataset) -> bool:
    """Whether there are no notes, or one of each episode, in order."""
    noted = [note.get("episode") for note in dataset.notes]
    return not noted or noted == [row.index for row in dataset.episodes]
