"""Which findings keep a dataset from being trained on, and which of them a user may accept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import recordings
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.data.checks import CHECKS, findings_of
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import ACTION, STATE
from vibrissa.data.findings import Finding, require_acceptable, require_trainable
from vibrissa.data.stats_checks import OTHER, STALE, _far


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recordings.record(tmp_path_factory.mktemp("r") / "a set", recordings.contract(), 3)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "a copy"))


def found(root: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings_of(open_dataset(root))}


def edit_stats(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = root / "meta" / "stats.json"
    stats = json.loads(path.read_text())
    change(stats)
    path.write_text(json.dumps(stats))


def put(name: str, kind: str, how: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda stats: stats[name].__setitem__(kind, how(stats[name][kind]))


def times(factor: float) -> Callable[[list], list]:
    return lambda values: [factor * value for value in values]


def first(value: object) -> Callable[[list], list]:
    return lambda values: [value, *values[1:]]


WRONG = {
    "a fiftieth": (put(ACTION, "std", times(0.02)), "std of action"),
    "doubled": (put(STATE, "std", times(2)), "std of observation.state"),
    "zero where it varies": (put(STATE, "std", first(0.0)), "shoulder_pan.pos, is 0 and"),
    "another mean": (put(ACTION, "mean", first(99.0)), "is 99 and that of the rows is"),
    "another range": (put(STATE, "max", times(0.5)), "max of observation.state"),
    "one joint fewer": (put(ACTION, "std", lambda v: v[:5]), "5 numbers for 6 channels"),
    "one joint more": (put(STATE, "mean", lambda v: [*v, 0.0]), "7 numbers for 6 channels"),
    "NaN": (put(STATE, "std", first(float("nan"))), "std of observation.state holds NaN"),
    "infinite": (put(ACTION, "mean", first(float("inf"))), "mean of action holds NaN or inf"),
    "NaN in a range": (put(ACTION, "min", first(float("nan"))), "min of action holds NaN"),
    "null": (put(ACTION, "std", lambda _: None), "no numbers for the std of action"),
    "words": (put(ACTION, "std", lambda _: ["a"] * 6), "no numbers for the std of action"),
    "of unequal length": (put(ACTION, "std", lambda _: [[1, 2], [1]]), "no numbers for the std"),
    "without a mean": (lambda stats: stats[STATE].pop("mean"), "no numbers for the mean"),
    "not an object": (lambda stats: stats.__setitem__(ACTION, 3), "nothing of action"),
    "without the action": (lambda stats: stats.pop(ACTION), "nothing of action"),
    "empty": (lambda stats: stats.clear(), "there is no meta/stats.json"),
}


@pytest.mark.parametrize("what", WRONG)
def test_statistics_that_contradict_the_rows_are_never_trained_on(copy: Path, what: str) -> None:
    change, told = WRONG[what]
    assert "statistics" not in found(copy)
    edit_stats(copy, change)
    finding = found(copy)["statistics"]
    assert finding.severity == "broken"
    assert told in finding.line
    assert "--operation.type recompute_stats" in finding.line
    with pytest.raises(DatasetError, match="not fit for training"):
        require_trainable(copy, [finding], accept=["statistics"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put(ACTION, "count", lambda _: [7]), "made of 7 rows of action and there are 63"),
        (put(STATE, "std", times(1.04)), "near the rows of observation.state and not of them"),
    ],
)
def test_statistics_of_other_rows_are_trained_on_when_accepted(copy: Path, change, told) -> None:
    edit_stats(copy, change)
    finding = found(copy)["stale-statistics"]
    assert (finding.severity, told in finding.line) == ("doubtful", True)
    with pytest.raises(DatasetError, match="give --accept stale-statistics"):
        require_trainable(copy, [finding])
    assert require_trainable(copy, [finding], accept=["stale-statistics"]) == []


def test_the_command_of_a_finding_makes_statistics_of_the_rows(copy: Path, tmp_path: Path) -> None:
    """What LeRobot's own command does, without starting it: it takes half a minute."""
    from lerobot.datasets.dataset_tools import recompute_stats
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    edit_stats(copy, put(ACTION, "std", times(0.02)))
    recompute_stats(LeRobotDataset("local/x", root=copy))
    assert not {"statistics", "stale-statistics"} & set(found(copy))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(2, 3000),
    st.sampled_from([1e-3, 0.21, 1.0, 50.0, 2048.0]),
    st.sampled_from([0.0, 1e-5, 1e-4, 0.1, 5.0, 300.0]),
    st.integers(0, 2**32 - 1),
)
def test_lerobot_s_own_statistics_are_never_called_wrong(rows, level, spread, seed) -> None:
    from lerobot.datasets.compute_stats import aggregate_stats, compute_episode_stats

    rng = np.random.default_rng(seed)
    values = (level + spread * rng.standard_normal((rows, 6))).astype(np.float32)
    values[:, 5] = np.float32(level)
    feature = {ACTION: {"dtype": "float32", "shape": (6,)}}
    parts = np.array_split(values, min(rows, 3))
    stats = aggregate_stats([compute_episode_stats({ACTION: part}, feature) for part in parts])
    longest = len(parts[0])
    assert _far(stats[ACTION], values.astype(np.float64), STALE, longest) == []
    if spread > 0.05 * level:
        off = {**stats[ACTION], "std": 1.5 * stats[ACTION]["std"]}
        assert {kind for kind, *_ in _far(off, values.astype(np.float64), OTHER, longest)} == {
            "std"
        }


@pytest.mark.parametrize("column", [STATE, ACTION])
def test_rows_that_are_no_numbers_are_never_trained_on(copy: Path, column: str) -> None:
    def change(values: np.ndarray) -> np.ndarray:
        values[7, 2] = np.inf
        return values

    recordings.edit(copy, column, change)
    finding = found(copy)["not-finite"]
    assert f"{column} holds NaN or infinity in 1 rows, first row 7" in finding.line
    with pytest.raises(DatasetError):
        require_trainable(copy, [finding], accept=["not-finite"])


def test_the_gravest_is_said_first_and_how_many_more_there_are() -> None:
    findings = [
        Finding("rate", "warning", "W."),
        Finding("nothing-moves", "doubtful", "D."),
        Finding("statistics", "broken", "B."),
    ]
    bars = sorted(findings, key=lambda f: f.severity)  # broken before doubtful
    with pytest.raises(DatasetError, match=r"B\. And 1 more: vibrissa data inspect set"):
        require_trainable(Path("set"), bars)
    with pytest.raises(DatasetError, match="--accept nothing-moves"):
        require_trainable(Path("set"), findings[:2])
    assert require_trainable(Path("set"), findings[:2], ["nothing-moves"]) == ["W."]
    assert require_trainable(Path("set"), findings[:2], ["nothing-moves", "rate"]) == []


def test_only_what_may_be_meant_can_be_accepted() -> None:
    require_acceptable(CHECKS, ["stale-statistics", "rate", "unreadable"])
    with pytest.raises(UsageError, match=r"statistics cannot be accepted.*not-following"):
        require_acceptable(CHECKS, ["statistics"])
    with pytest.raises(UsageError, match="no finding of a dataset"):
        require_acceptable(CHECKS, ["stats"])


def test_every_check_is_in_the_table_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bad-input.md").read_text(encoding="utf-8")
    rows = dict(line.split(" | ")[:2] for line in page.splitlines() if line.startswith("| `"))
    told = {name.strip("| `"): severity for name, severity in rows.items()}
    for check in CHECKS:
        assert told[check.name] == check.severity
