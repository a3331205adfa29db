"""Damaged datasets, read by stock LeRobot and by us: never other pictures or numbers in silence.

    uv run python runs/stock_pictures.py --datasets 320

Each dataset is a sound one with one to three damages: to its film, to the spans of the episodes'
table, to timestamps, rows or statistics. LeRobot is asked for sampled rows one by one; ours is read
as `train` reads it: opened, checked, every picture decoded. `silent` must be 0.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("SVT_LOG", "1")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="stock_pictures_"))
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the maker of damaged datasets lies beside its tests

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from av.error import FFmpegError  # noqa: E402
from data import films  # noqa: E402
from data.films import KEY, Made  # noqa: E402
from datasets.exceptions import DatasetsError  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

from vibrissa.bench.page import machine  # noqa: E402
from vibrissa.core.errors import DatasetError  # noqa: E402
from vibrissa.data.checks import CHECKS  # noqa: E402
from vibrissa.data.dataset import Dataset, open_dataset  # noqa: E402
from vibrissa.data.film_checks import doubtful_films, rows_without_pictures  # noqa: E402
from vibrissa.data.findings import run_checks  # noqa: E402

RESULT = Path(__file__).parent / "results" / "stock_pictures.json"
FROM, TO = f"videos/{KEY}/from_timestamp", f"videos/{KEY}/to_timestamp"
LOOKED_AT = 4  # rows an episode that LeRobot is asked for
NUMBERS = ("observation.state", "action")
CODECS: tuple[dict[str, Any], ...] = (
    {"options": {"g": "30", "bf": "3"}},
    {"codec": "libx265", "options": {"x265-params": "log-level=0"}},
    {"codec": "libsvtav1", "options": {"crf": "20", "preset": "12"}},
    {"codec": "mpeg4", "options": {"qscale": "2"}},
    {"side_px": 96},
)
# What LeRobot, datasets and PyAV raise where they do not read something.
REFUSALS = (
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError, OSError),
    *(DatasetsError, FFmpegError, pa.ArrowException),
)
Rng = np.random.Generator
Damage = Callable[[Made, Rng], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=1e9)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    logging.disable(logging.ERROR)
    began_s = time.monotonic()
    judged: list[dict[str, Any]] = []
    for number in range(args.datasets):
        if time.monotonic() - began_s > args.limit_s:
            break
        judged.append(judge(number, args.seed))
    told = summary(judged) | {"machine": machine(), "wall_s": round(time.monotonic() - began_s)}
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in told.items() if k != "machine"}, indent=1))


def judge(number: int, seed: int) -> dict[str, Any]:
    """One damaged dataset: its damages and the verdict."""
    rng = np.random.default_rng((seed, number))
    names = list(DAMAGES)
    chosen = [names[number % len(names)]]  # every damage alone first, then with others
    if number >= len(names):
        chosen += list(rng.choice(names, rng.integers(0, 3), replace=False))
    of = films.made(tuple(int(n) for n in rng.integers(8, 14, 3)))
    applied = [name for name in dict.fromkeys(chosen) if _apply(name, of, rng)]
    with tempfile.TemporaryDirectory() as folder:
        root = films.write(Path(folder) / "d", of)
        verdict, why = compare(root)
        why = why.replace(f"{root}", "d")
    return {
        "number": number,
        "damages": applied,
        "verdict": verdict,
        "why": why.replace(f"{root}", "d"),
    }


def _apply(name: str, of: Made, rng: Rng) -> bool:
    """Damage it; false where an earlier damage has taken away what this one would change."""
    try:
        DAMAGES[name](of, rng)
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    return True


def compare(root: Path) -> tuple[str, str]:
    """The verdict on one dataset, and the line or the difference that it rests on."""
    theirs = _stock(root)
    refused = theirs is None or any(value is None for value in theirs["rows"].values())
    try:
        dataset = open_dataset(root)
        lines = _film_lines(dataset)
        grave = [f.line for f in run_checks(CHECKS, dataset) if f.severity != "warning"]
        shots = [
            np.array(picture)
            for row in dataset.episodes
            for picture in dataset.pictures(KEY, row.index, range(row.length))
        ]
    except DatasetError as error:
        return ("both refuse" if refused else "we refuse with a line"), str(error)
    if theirs is None:
        return ("we say a line" if lines or grave else "SILENT"), "LeRobot does not open it"
    return _rows(dataset, shots, theirs, lines, grave)


def _rows(
    dataset: Dataset, shots: list[Any], theirs: dict[str, Any], lines: list[str], grave: list[str]
) -> tuple[str, str]:
    """Every sampled row of LeRobot's against ours."""
    for name in NUMBERS:
        stats = theirs["stats"].get(name)
        if not _same_statistics(stats, dataset.stats.get(name)):
            return ("we say a line" if grave else "SILENT"), f"statistics of {name}"
    difference = ""
    for row, sample in theirs["rows"].items():
        if sample is None:
            difference = difference or f"row {row}: LeRobot refuses it"
            continue
        for name in NUMBERS:
            if not np.array_equal(sample[name], dataset.column(name)[row], equal_nan=True):
                return ("we say a line" if grave else "SILENT"), f"row {row}: other {name}"
        if not np.array_equal(sample[KEY], shots[row]):
            difference = f"row {row}: another picture"
    if not difference:
        return "same", (lines or grave or [""])[0]
    return ("we say a line" if lines else "SILENT"), f"{difference}. {(lines or [''])[0]}"


def _stock(root: Path) -> dict[str, Any] | None:
    """LeRobot's rows and statistics; None where it opens nothing, a row None where it refuses."""
    rows: dict[int, Any] = {}
    try:
        theirs: Any = LeRobotDataset("local/d", root=root, video_backend="pyav", return_uint8=True)
        count = len(theirs.hf_dataset)
        stats = theirs.meta.stats or {}
    except REFUSALS:
        return None
    for row in sorted({int(i) for i in np.linspace(0, count - 1, 3 * LOOKED_AT)}):
        try:
            sample = theirs[row]
        except REFUSALS:
            rows[row] = None
            continue
        rows[row] = {name: sample[name].numpy() for name in NUMBERS}
        rows[row][KEY] = sample[KEY].numpy().transpose(1, 2, 0)
    return {"rows": rows, "stats": stats}


def _film_lines(dataset: Dataset) -> list[str]:
    return [*rows_without_pictures(dataset), *doubtful_films(dataset)]


def _same_statistics(theirs: Any, mine: Any) -> bool:
    if not theirs or not mine:
        return not theirs and not mine
    return all(
        np.array_equal(
            np.asarray(theirs[name], np.float64), np.asarray(mine[name], np.float64), equal_nan=True
        )
        for name in ("mean", "std")
        if name in theirs
    )


def summary(judged: list[dict[str, Any]]) -> dict[str, Any]:
    counts = Counter(one["verdict"] for one in judged)
    alone: dict[str, str] = {}
    for one in judged:
        if len(one["damages"]) == 1:
            alone.setdefault(one["damages"][0], f"{one['verdict']}: {one['why'][:160]}")
    return {
        "n": len(judged),
        "silent": counts["SILENT"],
        "verdicts": dict(counts),
        "silent_ones": [one for one in judged if one["verdict"] == "SILENT"],
        "each_damage_alone": alone,
    }


def _kept(which: Callable[[int], bool]) -> Damage:
    def change(of: Made, rng: Rng) -> None:
        kept = [i for i in range(len(of.shots)) if which(i)]
        of.shots, of.film_s = [of.shots[i] for i in kept], [of.film_s[i] for i in kept]

    return change


def _film_times(change: Callable[[np.ndarray, Rng], np.ndarray]) -> Damage:
    def damage(of: Made, rng: Rng) -> None:
        of.film_s = [float(t) for t in change(np.array(of.film_s), rng)]

    return damage


def _codec(of: Made, rng: Rng) -> None:
    change = CODECS[int(rng.integers(len(CODECS)))]
    of.encode = lambda path, of: films.encode(path, of.shots, of.film_s, **change)


def _closed_up(of: Made, rng: Rng) -> None:
    """Pictures were lost and the later ones moved up."""
    kept = [s for i, s in enumerate(of.shots) if i % 9 != 5]
    of.shots, of.film_s = kept, of.film_s[: len(kept)]


def _attribute(name: str, value: Any) -> Damage:
    return lambda of, rng: setattr(of, name, value)


def _stamps(change: Callable[[np.ndarray, Rng], Any]) -> Damage:
    def damage(of: Made, rng: Rng) -> None:
        new = change(np.asarray(of.columns["timestamp"], np.float64), rng)
        of.columns["timestamp"] = np.asarray(new, np.float32)

    return damage


def _trimmed(of: Made, rng: Rng) -> None:
    """The first rows of episode 1 are gone; film and timestamps stay."""
    first, length, cut = of.table[0]["length"], of.table[1]["length"], 4
    keep = np.delete(np.arange(len(of.columns["index"])), np.arange(first, first + cut))
    of.columns = {name: np.asarray(values)[keep] for name, values in of.columns.items()}
    of.columns["index"] = np.arange(len(keep))
    mine = of.columns["episode_index"] == 1
    of.columns["frame_index"][mine] = np.arange(length - cut)
    of.table[1]["length"] = length - cut
    of.info["total_frames"] = len(keep)
    end = first
    for row in of.table[1:]:
        row["dataset_from_index"], row["dataset_to_index"] = end, end + row["length"]
        end += row["length"]


def _each(change: Callable[[dict[str, Any], int], Any], only: int | None = None) -> Damage:
    """Change the rows of the episodes' table, or one of them."""

    def damage(of: Made, rng: Rng) -> None:
        for number, row in enumerate(of.table):
            if only in (None, number):
                change(row, number)

    return damage


def _put(**values: Any) -> Callable[[dict[str, Any], int], Any]:
    keys = {"begin": FROM, "end": TO, "file": f"videos/{KEY}/file_index", "length": "length"}
    return lambda row, number: row.update({keys.get(k, k): v for k, v in values.items()})


def _moved(frames: float) -> Callable[[dict[str, Any], int], Any]:
    return lambda row, number: row.update(
        {FROM: row[FROM] + frames / 30, TO: row[TO] + frames / 30}
    )


def _swapped(of: Made, rng: Rng) -> None:
    one, two = of.table[0], of.table[1]
    for key in (FROM, TO):
        one[key], two[key] = two[key], one[key]


def _column(name: str, change: Callable[[np.ndarray, Rng], Any]) -> Damage:
    def damage(of: Made, rng: Rng) -> None:
        of.columns[name] = change(np.array(of.columns[name]), rng)

    return damage


def _reordered(of: Made, rng: Rng) -> None:
    order = rng.permutation(len(of.columns["index"]))
    of.columns = {name: np.asarray(values)[order] for name, values in of.columns.items()}


def _rows_lost(of: Made, rng: Rng) -> None:
    of.columns = {name: np.asarray(values)[:-3] for name, values in of.columns.items()}


def _numbered_twice(of: Made, rng: Rng) -> None:
    of.columns["episode_index"] = np.minimum(np.asarray(of.columns["episode_index"]), 1)
    for number, row in enumerate(of.table):
        row["episode_index"] = min(number, 1)


def _stats(change: Callable[[Any], Any], of_what: str = "mean") -> Damage:
    def damage(of: Made, rng: Rng) -> None:
        of.stats["action"][of_what] = change(of.stats["action"][of_what])

    return damage


def _with_nan(values: np.ndarray) -> np.ndarray:
    values[7] = NAN
    return values


NAN = float("nan")
DAMAGES: dict[str, Damage] = {
    "nothing": lambda of, rng: None,
    "film: hole": _kept(lambda i: not 11 <= i < 15),
    "film: half rate": _kept(lambda i: i % 2 == 0),
    "film: truncated": _kept(lambda i: i < 20),
    "film: begins later": _kept(lambda i: i >= 3),
    "film: closed up": _closed_up,
    "film: drift": _film_times(lambda t, rng: t * 30 / 29.97),
    "film: 3 % slow": _film_times(lambda t, rng: t * 1.03),
    "film: late start": _film_times(lambda t, rng: t + 1.4),
    "film: late by less than the tolerance": _film_times(lambda t, rng: t + 0.00006),
    "film: late by more than the tolerance": _film_times(lambda t, rng: t + 0.0003),
    "film: late by a picture": _film_times(lambda t, rng: t + 1 / 30),
    "film: jitter": _film_times(lambda t, rng: np.sort(t + 0.004 * rng.random(len(t)))),
    "film: another codec or size": _codec,
    "film: Matroska": _attribute("suffix", "mkv"),
    "film: B-frames without times": _attribute("encode", films.copied_without_times),
    "film: edit list": _attribute("encode", films.trimmed_by_edit_list),
    "stamps: trimmed episode": _trimmed,
    "stamps: hundredths": _stamps(lambda t, rng: np.round(t, 2)),
    "stamps: thousandths": _stamps(lambda t, rng: np.round(t, 3)),
    "stamps: wall clock": _stamps(lambda t, rng: t + 0.004 * rng.random(len(t))),
    "stamps: two later": _stamps(lambda t, rng: t + 2 / 30),
    "stamps: all 0": _stamps(lambda t, rng: t * 0),
    "stamps: one NaN": _stamps(lambda t, rng: np.where(np.arange(len(t)) == 3, NAN, t)),
    "stamps: one off": _stamps(lambda t, rng: t + 0.01 * (np.arange(len(t)) == 12)),
    "stamps: milliseconds": _stamps(lambda t, rng: t * 1000),
    "stamps: of the whole set": _stamps(lambda t, rng: np.arange(len(t)) / 30),
    "stamps: absent": lambda of, rng: of.columns.pop("timestamp"),
    "spans: all from 0": _each(_put(begin=0.0)),
    "spans: each later": _each(lambda row, n: _moved(4 * n)(row, n)),
    "spans: one early": _each(_moved(-1), 1),
    "spans: half a picture late": _each(_moved(0.5), 2),
    "spans: swapped": _swapped,
    "spans: NaN": _each(_put(begin=NAN), 1),
    "spans: null": _each(_put(begin=None)),
    "spans: absent": _each(lambda row, n: (row.pop(FROM), row.pop(TO))),
    "spans: negative": _each(_put(begin=-1.0), 0),
    "spans: milliseconds": _each(lambda row, n: row.update({FROM: row[FROM] * 1000})),
    "spans: no end": _each(_put(end=NAN)),
    "spans: end too early": _each(lambda row, n: row.update({TO: row[TO] - 0.1})),
    "spans: no film of one": _each(_put(file=None), 2),
    "rows: numbered twice": _numbered_twice,
    "rows: lost": _rows_lost,
    "rows: shuffled": _reordered,
    "rows: length": _each(lambda row, n: row.update(length=row["length"] + 1), 1),
    "rows: frame_index gap": _column("frame_index", lambda v, rng: v + (v > 4)),
    "rows: from another episode": _column("episode_index", lambda v, rng: np.where(v == 1, 0, v)),
    "rows: index": _column("index", lambda v, rng: v + 5),
    "rows: NaN in state": _column("observation.state", lambda v, rng: _with_nan(v)),
    "statistics: a fiftieth": _stats(lambda v: [x / 50 for x in v], "std"),
    "statistics: other joints": _stats(lambda v: v[:5]),
    "statistics: NaN": _stats(lambda v: [NAN] * 6),
    "statistics: absent": lambda of, rng: of.stats.pop("action"),
}  # fmt: skip


if __name__ == "__main__":
    main()
