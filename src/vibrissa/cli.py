"""argv → one command module. Imports nothing heavy, so `vibrissa --help` answers at once.

The tables below are the registry. A command module has a docstring, a frozen `Config` and
`run(cfg) -> int`; it is imported only when its word is used. One whose options may stand in a
file has `defaults(args) -> Config | None` too.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence

from vibrissa import __version__
from vibrissa.core.errors import UsageError, VibrissaError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("vibrissa.commands.demo", "from nothing to a judged policy and a report, in minutes"),
    "record": ("vibrissa.commands.record", "record demonstrations on a real or simulated arm"),
    "setup": ("vibrissa.commands.setup", "a first desk: ports, ids, calibration, cameras"),
    "teleop": ("vibrissa.commands.teleop", "lead an arm by hand, and record nothing"),
    "train": ("vibrissa.commands.train", "train a recipe on a dataset"),
    "eval": ("vibrissa.commands.eval", "judge a checkpoint, or the expert, zero, random pilot"),
    "failures": ("vibrissa.commands.failures", "why it failed, and where to record more"),
    "compare": ("vibrissa.commands.compare", "which policy is better, on the same seeds"),
    "deploy": ("vibrissa.commands.deploy", "let a checkpoint drive an arm: real, twin, simulated"),
    "label": ("vibrissa.commands.label", "say afterwards how a rollout of deploy went"),
    "openloop": ("vibrissa.commands.openloop", "does a policy reproduce the actions of a dataset?"),
    "replay": ("vibrissa.commands.replay", "play a real arm's recording on the simulated arm"),
    "fit": ("vibrissa.commands.fit", "fit the simulated servos to a real arm's recordings"),
    "doctor": ("vibrissa.commands.doctor", "what this computer lacks, and what to do about it"),
    "twin": ("vibrissa.commands.twin.serve", "an SO-101 that is not there, for any driver"),
    "twin plug": ("vibrissa.commands.twin.plug", "one servo alone on the twin's bus"),
    "twin move": ("vibrissa.commands.twin.move", "a hand that moves the twin's leader"),
    "twin place": ("vibrissa.commands.twin.place", "the things on the twin's table, anew"),
    "twin fault": ("vibrissa.commands.twin.fault", "break something in the twin, or mend it"),
    "twin status": ("vibrissa.commands.twin.status", "how the twin is"),
    "task check": ("vibrissa.commands.task.check", "check a task file, and see what it says"),
    "data inspect": ("vibrissa.commands.data.inspect", "describe any dataset on one screen"),
    "data recover": (
        "vibrissa.commands.data.recover",
        "bring back what a kill left behind",
    ),
    "data rerender": (
        "vibrissa.commands.data.rerender",
        "simulated episodes through other cameras",
    ),
}

USAGE_EXIT, STOPPED_EXIT, UNREAD_EXIT = 1, 130, 141
NO_MEMORY = (
    "vibrissa: there is no memory left. Close what else runs on this computer. What was finished "
    "has been kept."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a VibrissaError is one line on stderr, below its notes, and exit code 1."""
    _settle_process()
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _told(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _unread():
            raise
        return UNREAD_EXIT
    except OSError as error:
        if error.errno != errno.ENOSPC or not _unread():
            raise
        print(f"vibrissa: the output cannot be written: {error.strerror}.", file=sys.stderr)
        return USAGE_EXIT


def _told(args: list[str]) -> int:
    """Run one command and tell how it went."""
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if args[0] in ("-V", "--version"):
        print(f"vibrissa {__version__}")
        return 0
    try:
        return _run(args)
    except VibrissaError as error:
        for note in _unsaid(error):
            print(note, file=sys.stderr)
        print(f"vibrissa: {error}", file=sys.stderr)
        return USAGE_EXIT
    except MemoryError:
        print(NO_MEMORY, file=sys.stderr)
        return USAGE_EXIT
    except KeyboardInterrupt:
        print("vibrissa: stopped. What was finished has been kept.", file=sys.stderr)
        return STOPPED_EXIT


def _unread() -> bool:
    """Whether nobody can have our output, as in `vibrissa --help | true`; it goes nowhere then."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _unsaid(error: VibrissaError) -> list[str]:
    """What went wrong while an error was on its way: an arm that may still hold, a lost row.

    Where it is the same trouble once more, it is not told twice.
    """
    return [note for note in getattr(error, "__notes__", ()) if str(error) not in note]


def _run(args: list[str]) -> int:
    words, rest = _split(args)
    module = importlib.import_module(COMMANDS[words][0])

    import tyro

    told = io.StringIO()
    given = module.defaults(rest) if hasattr(module, "defaults") else None
    more = {} if given is None else {"default": given}
    try:
        with contextlib.redirect_stderr(told):
            cfg = tyro.cli(
                module.Config,
                args=rest,
                prog=f"vibrissa {words}",
                description=module.__doc__,
                **more,
            )
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        raise UsageError(f"{_in_a_line(told.getvalue())} See vibrissa {words} --help.") from None
    return module.run(cfg)


def _in_a_line(told: str) -> str:
    """What the parser draws as a box, in words: without its title, and without advice."""
    bare = _COLOUR.sub("", told).translate(dict.fromkeys(map(ord, "╭╮╰╯│─"), " "))
    kept = []
    for line in (line.strip() for line in bare.splitlines()):
        if line.startswith(("Argument helptext", "For full helptext")):
            break
        if line.strip("- "):
            kept.append(line.removeprefix("- "))
    words = " ".join(kept[1:] or kept).split(" Got errors:")[0].rstrip(".:")
    return words.replace("[bold]", "").replace("[/bold]", "") + "."


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def _split(args: list[str]) -> tuple[str, list[str]]:
    """The command's words and the rest. Raises UsageError with the nearest words that exist."""
    for length in (2, 1):
        words = " ".join(args[:length])
        if words in COMMANDS:
            return words, args[length:]
    given = " ".join(a for a in args[:2] if not a.startswith("-"))
    under = [w for w in COMMANDS if w.startswith(f"{args[0]} ")]
    near = under or difflib.get_close_matches(given, COMMANDS, n=3, cutoff=0.4)
    hint = f" Did you mean: {', '.join(near)}?" if near else ""
    raise UsageError(f"no command {given!r}.{hint} There is: {', '.join(COMMANDS)}.")


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [
        "usage: vibrissa <command> [options]        vibrissa <command> --help",
        "",
        "The workbench that takes an SO-101 arm from demonstrations to a policy one can trust.",
        "",
        *(f"  {word:<{width}}{line}" for word, (_, line) in COMMANDS.items()),
        "",
        "New here? vibrissa demo --out my-demo",
    ]
    return "\n".join(lines)


def _settle_process() -> None:
    """What holds for the whole process, before anything heavy is loaded.

    A console that cannot show a sign must not stop the work, and nothing goes to a hub.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    # Torch's threads spin while they wait for each other. On a machine that does something else
    # too, a training step on two cores then takes five times as long as with sleeping threads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


if __name__ == "__main__":
    sys.exit(main())
