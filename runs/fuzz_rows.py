"""Rows of episodes, spoilt one at a time: every command refuses them in a line, or counts right.

    uv run python runs/fuzz_rows.py [--seconds 240]      → runs/results/fuzz_rows.json

A sound folder of `eval` and one of `deploy`. Of any row any field is dropped, null, of another type
or in contradiction; any line is removed, doubled or cut; the file gets another encoding. Then
their one reader has all of these files, and `compare`, `failures`, `label` and `eval` as many as
the time allows: never a traceback, never another count than that of the lines which are left.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa import cli
from vibrissa.bench.outcomes import Row, read_file
from vibrissa.bench.setups import place_for
from vibrissa.bench.trials import Trial, open_rows
from vibrissa.core.contract import so101
from vibrissa.core.errors import UsageError
from vibrissa.core.stats import clopper_pearson

RESULT = Path(__file__).parent / "results" / "fuzz_rows.json"
FIRST_SEED = 2_000_000
ENDS = (
    *(("success", "SUCCESS"), ("timeout", "TIMEOUT"), ("failure", "MISSED_GOAL")),
    *(("success", "FUMBLED"), ("timeout", "NEVER_PICKED_UP"), ("success", "SUCCESS")),
)
ODD: tuple[Any, ...] = (
    *("", "x", "1", -1, 1.5, 0, 10**9, True, False, None, [], {}, [1], {"x": 1}),
    *(float("nan"), float("inf"), "success", "SUCCESS", "fault", "FAULT", "ABORTED", "great"),
)


@dataclass(frozen=True)
class Spoilt:
    """A file of rows with one thing wrong. left: how many rows are still sound, and successes.

    refused: whether it must be, because no count of it can be right.
    """

    what: str
    content: bytes
    left: tuple[int, int]
    refused: bool


def sound_rows(pilot: str, task: str, *, numbered: bool) -> list[Row]:
    """One of each end that counts."""
    return [
        Row(
            FIRST_SEED + at,
            pilot,
            task,
            reason,  # type: ignore[arg-type]
            name,
            50 + at,
            spawn=(0.2, 0.2, 0.1 * at),
            measures={"picked": 1.0, "dropped": 0.0},
            rollout=at + 1 if numbered else None,
        )
        for at, (reason, name) in enumerate(ENDS)
    ]


def spoilt(rows: Sequence[Row]) -> Iterator[Spoilt]:
    """Every kind, of every row and field."""
    raws = [json.loads(row.to_json()) for row in rows]
    wins = sum(row.success for row in rows)
    whole = (len(rows), wins)
    for at, row in enumerate(rows):
        for name in raws[at]:
            dropped = {key: value for key, value in raws[at].items() if key != name}
            harmless = name == "rollout"  # it follows from the seed
            yield Spoilt(f"drop {name}", _file(raws, at, dropped), whole, not harmless)
            for value in ODD:
                if value == raws[at][name] and type(value) is type(raws[at][name]):
                    continue
                changed = {**raws[at], name: value}
                yield Spoilt(f"{name} {value!r}", _file(raws, at, changed), whole, False)
            yield Spoilt(f"{name} twice", _twice(raws, at, name), whole, True)
        end = ("timeout", "TIMEOUT") if row.success else ("success", "SUCCESS")
        for key, value in zip(("reason", "failure_class"), end, strict=True):
            changed = _file(raws, at, {**raws[at], key: value})
            yield Spoilt(f"contradicted by {key}", changed, whole, True)
        less = (len(rows) - 1, wins - row.success)
        yield Spoilt("line removed", _text([*raws[:at], *raws[at + 1 :]]), less, False)
        yield Spoilt("line doubled", _text([*raws[: at + 1], *raws[at:]]), whole, True)
    yield from _encoded(raws, whole, (len(rows) - 1, wins - rows[-1].success))


def _encoded(
    raws: Sequence[dict[str, Any]], whole: tuple[int, int], less: tuple[int, int]
) -> Iterator[Spoilt]:
    text = _text(raws)
    lines = text.splitlines(keepends=True)
    begin = len(text) - len(lines[-1])
    for cut in range(begin, len(text)):
        left = whole if cut == len(text) - 1 else less
        yield Spoilt("last line cut", text[:cut], left, False)
    yield Spoilt("zeros at the end", text + b"\0" * 64, whole, False)
    yield Spoilt("CRLF", text.replace(b"\n", b"\r\n"), whole, False)
    yield Spoilt("BOM", b"\xef\xbb\xbf" + text, whole, False)
    yield Spoilt("UTF-16", text.decode().encode("utf-16"), whole, True)
    yield Spoilt("blank lines", b"\n" + text.replace(b"\n", b"\n\n"), whole, False)
    yield Spoilt("rubbish", lines[0] + b"rubbish\n" + b"".join(lines[1:]), whole, True)
    yield Spoilt("rubbish at the end", text + b"rubbish", whole, True)
    for name in ("lift", "another task"):
        changed = {**raws[-1], "task": name, "seed": raws[-1]["seed"]}
        if raws[-1]["task"] != name:
            yield Spoilt("another task", _file(raws, len(raws) - 1, changed), whole, True)


def _text(raws: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(raw, sort_keys=True) + "\n" for raw in raws).encode()


def _file(raws: Sequence[dict[str, Any]], at: int, raw: dict[str, Any]) -> bytes:
    return _text([*raws[:at], raw, *raws[at + 1 :]])


def _twice(raws: Sequence[dict[str, Any]], at: int, name: str) -> bytes:
    lines = [json.dumps(raw) for raw in raws]
    lines[at] = f"{lines[at][:-1]}, {json.dumps(name)}: {json.dumps(raws[at][name])}}}"
    return "".join(line + "\n" for line in lines).encode()


def sound_folders(root: Path) -> dict[str, tuple[Path, list[Row]]]:
    """A folder of `eval` and one of `deploy`, with nothing wrong."""
    place = place_for(None, task="pick-place")
    judged = open_rows(root / "eval", Trial(place, "zero"), {})
    for row in sound_rows("zero", "pick-place", numbered=False):
        judged.add(row)
    tried = root / "deploy"
    tried.mkdir()
    rows = sound_rows("policy", "pick-place", numbered=True)
    told = {"checkpoint": "there", "seeds": FIRST_SEED, "task": "pick-place", "seconds": None}
    contract = so101(rate_hz=30.0).to_dict()
    (tried / "deployment.json").write_text(json.dumps({**told, "contract": contract}))
    (tried / "outcomes.jsonl").write_bytes(_text([json.loads(row.to_json()) for row in rows]))
    return {"eval": (root / "eval", judged.rows), "deploy": (tried, rows)}


def said(words: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; a traceback is raised."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(words))
    return code, out.getvalue(), err.getvalue()


def counted(command: str, folder: Path) -> tuple[tuple[int, int] | None, str]:
    """What a command counts, as (episodes, successes), None where it refuses; and its stderr."""
    if command == "reader":
        try:
            rows = read_file(folder / "outcomes.jsonl").rows
        except UsageError as error:
            return None, f"vibrissa: {error}"
        return (len(rows), sum(row.success for row in rows)), "cut short"
    words = {
        "compare": ["compare", f"x={folder}", "y=1/2", "--json"],
        "failures": ["failures", str(folder), "--films", "0", "--json"],
        "label": ["label", str(folder), "--json"],
        "eval": ["eval", "--pilot", "zero", "--task", "pick-place", "--alone", "--json"]
        + ["--episodes", str(len(ENDS)), "--out", str(folder)],
    }[command]
    code, out, err = said(words)
    if code:
        return None, err
    told = json.loads(out)
    if command == "compare":
        one = told["contenders"]["x"]
        return (one["episodes"], one["success"]), err
    if command == "failures":
        return (told["episodes"], told["episodes"] - told["failures"]), err
    if command == "label":
        return (len(told), sum(row["reason"] == "success" for row in told)), err
    return (told["episodes"], told["success"]), err


def judge(one: Spoilt, command: str, folder: Path) -> str:
    """What is wrong with what the command made of it; empty where nothing is."""
    (folder / "outcomes.jsonl").write_bytes(one.content)
    found, err = counted(command, folder)
    if found is None:
        lines = err.splitlines()
        return "" if lines and lines[-1].startswith("vibrissa: ") else f"refused as {err!r}"
    if one.refused:
        return f"taken as {found}"
    played = one.left[0] < len(ENDS) if command == "eval" else False
    wanted = (len(ENDS), one.left[1]) if played else one.left  # the zero pilot solves none
    if found != wanted and not (command == "eval" and one.what.startswith("seed")):
        return f"counted {found}, not {wanted}"
    if one.what == "last line cut" and one.left[0] < len(ENDS) and b"{" in _last(one.content):
        return "" if "cut short" in err else "does not say that a line is cut short"
    return ""


def _last(content: bytes) -> bytes:
    return b"" if content.endswith(b"\n") else content.splitlines()[-1]


COMMANDS = {"eval": ("compare", "failures", "eval"), "deploy": ("compare", "failures", "label")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULT)
    args = parser.parse_args()
    began_s, rng = time.perf_counter(), random.Random(args.seed)
    tried, wrong = Counter[str](), []
    with tempfile.TemporaryDirectory() as root:
        folders = sound_folders(Path(root))
        todo = [
            (kind, command, one)
            for kind, (_, rows) in folders.items()
            for one in spoilt(rows)
            for command in COMMANDS[kind]
        ]
        rng.shuffle(todo)
        by_kind = {kind: list(spoilt(rows)) for kind, (_, rows) in folders.items()}
        read = [(kind, "reader", one) for kind, every in by_kind.items() for one in every]
        todo = read + todo
        for kind, command, one in todo:
            if time.perf_counter() - began_s > args.seconds:
                break
            fresh = Path(root) / "spoilt"
            shutil.copytree(folders[kind][0], fresh)
            trouble = judge(one, command, fresh)
            shutil.rmtree(fresh)
            tried[f"{kind} folder, {command}"] += 1
            if trouble:
                wrong.append(f"{kind}, {command}, {one.what}: {trouble}")
                print(wrong[-1])
    n = sum(tried.values())
    low, high = clopper_pearson(len(wrong), n)
    told = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "tried": n,
        "of": len(todo),
        "by command": dict(sorted(tried.items())),
        "wrong": len(wrong),
        "interval": [round(low, 6), round(high, 6)],
        "which": wrong[:20],
        "seed": args.seed,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "wall_s": round(time.perf_counter() - began_s, 1),
    }
    args.result.parent.mkdir(parents=True, exist_ok=True)
    args.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"{len(wrong)} of {n} wrong → {args.result}")


if __name__ == "__main__":
    main()
