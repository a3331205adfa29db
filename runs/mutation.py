"""How many small changes of the code the tests notice: mutation testing, room by room.

    uv run --with mutmut==3.8.1 python runs/mutation.py [core] [control] [journal] [rows]

A copy of the repository is changed in one place at a time (an operator, a constant, an argument
left out), and the tests that run the changed function are run. A change that they all pass has
survived. A random sample of the changes is tried in each room. Not every survivor is a gap: many
change a word of a message, or nothing at all (`<` where two floats are never equal), and nobody
has taken those out of the rate. What survived is in the result, change by change.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from vibrissa.bench.page import machine
from vibrissa.core.stats import wilson

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "mutation.json"
KILLED = (1, 3, -11, -9, 36, -24, 24, 152, 255)  # failed, crashed, or hung until its time was up


@dataclass(frozen=True)
class Room:
    """What is changed, and the tests that are to notice."""

    changed: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "core": Room(("src/vibrissa/core/*",), ("tests/core",)),
    "control": Room(
        ("src/vibrissa/control/*",), ("tests/control", "tests/conformance/test_pilots.py")
    ),
    "journal": Room(
        tuple(f"src/vibrissa/data/{name}.py" for name in ("journal", "rows", "finish", "recorder")),
        tuple(f"tests/data/test_{name}.py" for name in ("journal", "recorder", "state_health")),
    ),
    "rows": Room(
        tuple(f"src/vibrissa/bench/{name}.py" for name in ("outcomes", "row_checks", "row_folder")),
        tuple(f"tests/bench/test_{name}.py" for name in ("rows", "row_reader")),
    ),
}


@dataclass(frozen=True)
class Tried:
    """What became of one room's sample; `survivors` are differences of one line or two."""

    changes: int
    tried: int
    noticed: int
    rate: float
    interval: tuple[float, float]
    survivors: dict[str, list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("rooms", nargs="*", choices=[*ROOMS, []], help="all, unless some are named")
    parser.add_argument("--sample", type=int, default=300, help="changes tried in each room")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    found = json.loads(RESULT.read_text())["rooms"] if RESULT.is_file() else {}
    began_s = time.monotonic()
    for name in args.rooms or ROOMS:
        tried = try_room(ROOMS[name], args.sample, args.seed, args.processes)
        low, high = (100 * side for side in tried.interval)
        print(
            f"{name}: {tried.noticed} of {tried.tried} changes noticed "
            f"({low:.0f}–{high:.0f} %), of {tried.changes} there are"
        )
        found[name] = asdict(tried)
        RESULT.write_text(json.dumps({"rooms": found, **_how(args, began_s)}, indent=1) + "\n")


def try_room(room: Room, sample: int, seed: int, processes: int) -> Tried:
    """Change the room in `sample` places, one after the other, in a copy of the repository."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        with (copy / "pyproject.toml").open("a") as file:
            file.write(_settings(room))
        # A first run that tries nothing writes down which changes there are.
        _mutmut(copy, "run", "--max-children", str(processes), "none", check=False)
        every = sorted(_results(copy))
        names = sorted(random.Random(seed).sample(every, min(sample, len(every))))
        _mutmut(copy, "run", "--max-children", str(processes), *names)
        results = {name: code for name, code in _results(copy).items() if name in set(names)}
        survived = [name for name, code in results.items() if code not in KILLED]
        noticed = len(names) - len(survived)
        lines = {name: _changed(copy, name) for name in survived}
    return Tried(
        len(every), len(names), noticed, noticed / len(names), wilson(noticed, len(names)), lines
    )


def _settings(room: Room) -> str:
    once = "-o", "addopts=-q --import-mode=importlib", "-p", "no:rerunfailures", "-x"
    keys = {
        "source_paths": ["src"],
        "only_mutate": list(room.changed),
        "also_copy": ["README.md", "LICENSE", "CHANGELOG.md", "docs", "plugins", "runs"],
        "pytest_add_cli_args_test_selection": list(room.tests),
        "pytest_add_cli_args": list(once),
        "mutate_only_covered_lines": True,
        # A process that has drawn a picture cannot be forked: its children wait for ever for
        # OpenGL's threads, and a change that hangs would count as noticed.
        "process_isolation": "forkserver",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"


def _mutmut(copy: Path, *argv: str, check: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *argv],
        cwd=copy,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise SystemExit(f"mutmut {argv[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _results(copy: Path) -> dict[str, int | None]:
    """The exit code of the tests for each change; None for one that was not tried."""
    found: dict[str, int | None] = {}
    for meta in (copy / "mutants").rglob("*.meta"):
        found |= json.loads(meta.read_text())["exit_code_by_key"]
    if not found:
        raise SystemExit("mutmut found nothing to change: do the tests pass as they are?")
    return found


def _changed(copy: Path, name: str) -> list[str]:
    lines = _mutmut(copy, "show", name).splitlines()
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("---", "+++")]


def _how(args: argparse.Namespace, began_s: float) -> dict[str, object]:
    return {
        "sample": args.sample,
        "seed": args.seed,
        "seconds": round(time.monotonic() - began_s),
        "machine": machine(),
    }


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    main()
