"""The command line: quick help, one-line errors, nothing heavy loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vibrissa import cli
from vibrissa.core.errors import ArmFault

HEAVY = ("torch", "lerobot", "mujoco", "matplotlib", "scipy", "pyarrow", "tyro")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from vibrissa import cli; cli.main(['--help']);"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "LOADED []" in result.stdout
    for word in cli.COMMANDS:
        assert f"  {word} " in result.stdout


@pytest.mark.parametrize("words", sorted(cli.COMMANDS))
def test_the_help_of_a_command_loads_no_torch_lerobot_or_mujoco(words) -> None:
    code = (
        "import sys; from vibrissa import cli\n"
        f"try: cli.main({[*words.split(), '--help']!r})\n"
        "except SystemExit: pass\n"
        "print('LOADED', [m for m in ('torch', 'lerobot', 'mujoco') if m in sys.modules])"
    )
    env = {"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin", "COLUMNS": "100"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    assert "LOADED []" in result.stdout, result.stderr
    assert f"vibrissa {words}" in result.stdout
    assert "--help" in result.stdout


def test_an_unknown_word_is_answered_with_the_nearest(capsys) -> None:
    assert cli.main(["recrod"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("vibrissa: no command 'recrod'. Did you mean: record")
    assert told.count("\n") == 1
    assert cli.main(["data"]) == 1
    assert "Did you mean: data inspect, data recover, data rerender?" in capsys.readouterr().err


def test_version(capsys) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vibrissa 0.")


def test_every_command_is_documented() -> None:
    root = Path(cli.__file__).parent
    for module, line in cli.COMMANDS.values():
        path = root.joinpath(*module.split(".")[1:]).with_suffix(".py")
        assert path.is_file(), f"{module} is in the table and has no file"
        assert path.read_text("utf8").startswith('"""')
        assert len(line) <= 60


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["record", "--out", "x", "--nosuch"], "--nosuch"),
        (["record", "--out", "x", "--camera-size", "64"], "camera-size"),
        (["record", "--out", "x", "--episodes", "many"], "many"),
        (["task", "check"], "my-task.yaml"),
    ],
)
def test_options_that_cannot_be_read_are_one_line(capsys, argv, told) -> None:
    assert cli.main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert told in err
    assert f"See vibrissa {' '.join(argv[: 2 if argv[0] == 'task' else 1])} --help." in err


def test_no_memory_left_is_one_line(capsys, monkeypatch) -> None:
    def greedy(_):
        raise MemoryError

    monkeypatch.setattr(cli, "_run", greedy)
    assert cli.main(["eval"]) == 1
    assert capsys.readouterr().err.startswith("vibrissa: there is no memory left. Close what ")


@pytest.mark.parametrize("words", [["--help"], ["eval", "--help"]])
def test_output_that_nobody_reads_is_no_error(words: list[str]) -> None:
    """As `vibrissa --help | true`, where the reader is gone before the first word."""
    command = [sys.executable, "-m", "vibrissa.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as told:
        assert told.stdout is not None
        assert told.stderr is not None
        told.stdout.close()
        assert told.stderr.read() == b""
    assert told.returncode in (0, cli.UNREAD_EXIT)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here that is always full")
def test_output_onto_a_full_disk_is_one_line() -> None:
    command = [sys.executable, "-m", "vibrissa.cli", "--help"]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert told.stderr == "vibrissa: the output cannot be written: No space left on device.\n"
    assert told.returncode == 1


def test_what_went_wrong_beside_an_error_is_told_above_it_and_nothing_twice(
    monkeypatch, capsys
) -> None:
    def fail(args):
        error = ArmFault("the bus is silent.")
        error.add_note("and while leaving: ArmFault: the bus is silent.")
        error.add_note("arm 'follower': elbow_flex does not answer and may still hold")
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "arm 'follower': elbow_flex does not answer and may still hold",
        "vibrissa: the bus is silent.",
    ]
