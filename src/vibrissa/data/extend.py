"""Going on with a dataset: what is there already, and whether this arm may add to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vibrissa.core.contract import Contract, differences
from vibrissa.core.errors import DatasetError
from vibrissa.data import layout
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.features import stored_contract


@dataclass(frozen=True)
class Extension:
    """What a folder holds, as far as whoever goes on with it must know.

    differences: why an arm of this contract cannot add to it, one sentence each; empty where it
    can. recalibrated: one sentence where the arm has been calibrated anew since, so that the same
    numbers are other places now; empty where not. left: what lies in its journal, in one line.
    """

    episodes: int = 0
    frames: int = 0
    differences: tuple[str, ...] = ()
    recalibrated: str = ""
    left: str = ""

    def require(self, out: Path, *, recalibrated: bool) -> None:
        """Raise DatasetError where the arm cannot, or (unless `recalibrated`) should not add."""
        if self.differences:
            raise DatasetError(
                f"{out} was recorded under another contract: {'; '.join(self.differences)}. Record "
                "into a new dataset."
            )
        if self.recalibrated and not recalibrated:
            raise DatasetError(
                f"{out}: {self.recalibrated}. Record into a new dataset, or, if the two "
                "calibrations agree, say that this one is meant."
            )


def extension(out: Path, contract: Contract) -> Extension:
    """What recording on into `out` under `contract` would meet; nothing is written.

    A folder that does not exist, or that a kill left before its first episode was stored, holds
    nothing. Raises DatasetError for anything else that is no dataset, and for one of others.
    """
    if not (out / "meta" / "info.json").is_file():
        if out.exists() and not layout.is_open(out) and any(out.iterdir()):
            raise DatasetError(f"{out} is no dataset, so it cannot be gone on with.")
        return Extension(left=layout.told_left(out))
    dataset = open_dataset(out)
    if not dataset.is_ours:
        raise DatasetError(
            f"{out} was not recorded by Vibrissa, so what its numbers mean is not known well "
            "enough to add to it. Record into a new dataset."
        )
    return Extension(
        len(dataset.episodes),
        dataset.frames,
        tuple(_differences(dataset.contract, stored_contract(contract))),
        _recalibrated(dataset, contract.calibration),
        layout.told_left(out),
    )


def _differences(stored: Contract, now: Contract) -> list[str]:
    """Both ways round: nothing may be missing, and nothing new."""
    told = differences(stored, now)
    for camera in now.camera_names:
        if camera not in stored.camera_names:
            told.append(f"camera {camera!r}: given now, but not in the dataset")
    have = [channel.name for channel in stored.privileged]
    more = [channel.name for channel in now.privileged if channel.name not in have]
    if more:
        told.append(f"privileged: {', '.join(more)} given now, but not in the dataset")
    return told


def _recalibrated(dataset: Dataset, calibration: str) -> str:
    last = dataset.sessions[-1].get("calibration") if dataset.sessions else None
    before = dataset.contract.calibration if last is None else last
    if before == calibration:
        return ""
    return (
        "the arm has been calibrated anew since the last recording (then "
        f"{before or 'unknown'}, now {calibration or 'unknown'}), so that the same numbers are "
        "other places"
    )
