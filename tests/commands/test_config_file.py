"""Flags over file over defaults; unknown keys and wrong values with line; lazily, so L3 is past."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import tyro

from vibrissa.commands.config_file import defaults_from, named_file
from vibrissa.core.errors import UsageError


@dataclass(frozen=True)
class Config:
    out: Path
    episodes: int = 50
    seconds: float | None = None
    instruction: str = ""
    cameras: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    resume: bool = False
    config: Path | None = None


def _parse(args: list[str]) -> Config:
    given = defaults_from(Config, args, beside=("arm", "cameras"))
    return tyro.cli(Config, args=args, **({} if given is None else {"default": given}))


def _file(folder: Path, text: str) -> str:
    path = folder / "pick.yaml"
    path.write_text(text)
    return str(path)


def test_flags_go_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        "out: sets/pick\nepisodes: 7\nseconds: 10\ninstruction: Pick it up\nsize: [64, 48]\n"
        "resume: true\ncameras: [overhead]\n",
    )
    cfg = _parse(["--config", file])
    assert cfg == Config(
        tmp_path / "sets/pick", 7, 10.0, "Pick it up", ("overhead",), (64, 48), True, Path(file)
    )
    cfg = _parse(["--config", file, "--episodes", "3", "--no-resume", "--out", "elsewhere"])
    assert (cfg.episodes, cfg.resume, cfg.out) == (3, False, Path("elsewhere"))
    assert cfg.seconds == 10.0


def test_without_a_file_everything_is_as_it_was() -> None:
    assert _parse(["--out", "x"]) == Config(Path("x"))


def test_what_a_flag_overrides_is_not_read_at_all(tmp_path: Path) -> None:
    """A fallback that is not needed must not fail."""
    file = _file(tmp_path, "out: x\nepisodes: many\n")
    assert _parse([f"--config={file}", "--episodes=3"]).episodes == 3
    with pytest.raises(UsageError, match=r"line 2: episodes must be a number, not text \(many\)"):
        _parse(["--config", file])


def test_a_required_option_may_come_from_either_side(tmp_path: Path) -> None:
    file = _file(tmp_path, "episodes: 3\n")
    assert _parse(["--config", file, "--out", "y"]) == Config(Path("y"), 3, config=Path(file))
    with pytest.raises(SystemExit):
        _parse(["--config", file])


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    file = _file(tmp_path, "out: x\nepisode: 3\n")
    with pytest.raises(UsageError, match=r"pick.yaml, line 2: .*'episode'. Did you mean 'episodes"):
        _parse(["--config", file])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("out: x\nepisodes: 2.5\n", "line 2: episodes is 2.5; it must be a whole number"),
        ("out: x\nresume: perhaps\n", "line 2: resume must be true or false"),
        ("out: x\nsize: [1]\n", "line 2: size must be 2 values, not 1"),
        ("out: x\nsize: 3\n", "line 2: .*must be a list"),
        ("out: x\nout: y\n", "line 2: .*'out' twice"),
        ("", "line 1: the file is empty"),
        ("out: [\n", "no YAML"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        _parse(["--config", _file(tmp_path, text)])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        _parse(["--config", str(tmp_path / "none.yaml")])


def test_what_belongs_to_the_rig_is_left_to_it(tmp_path: Path) -> None:
    file = _file(tmp_path, "out: x\narm: {port: /dev/x}\ncameras:\n  wrist: {device: /dev/y}\n")
    cfg = _parse(["--config", file])
    assert cfg.cameras == ()
    assert _parse(["--config", file, "--cameras", "wrist"]).cameras == ("wrist",)


def test_the_named_file_is_the_last_one() -> None:
    assert named_file(["--config", "a", "--config=b"]) == Path("b")
    assert named_file(["--config"]) is None
    assert named_file(["--config", "--out"]) is None
    assert named_file([]) is None
