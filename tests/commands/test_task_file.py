"""A task of one's own, from its file through record, train, eval and demo; and `task check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vibrissa import cli
from vibrissa.bench.setups import place_for
from vibrissa.core.contract import differences
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import loop_contract
from vibrissa.learn.policy import load_policy

MINE = """\
name: mine
instruction: Put the can on the square
object: {name: can, shape: cylinder, diameter_m: 0.03, height_m: 0.04, mass_kg: 0.04}
goal: {zone: {centre_m: [0.2, -0.12], size_m: [0.06, 0.06]}}
spawn: {here: {centre_m: [0.2, 0.11], half_m: 0.01}, there: {centre_m: [0.22, 0.1], half_m: 0.01}}
limits: {max_time_s: 8, rate_hz: 15}
success: {inside: true, resting: true, released: true, lifted: true}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a task") / "mine.yaml"
    path.write_text(MINE)
    return path


@pytest.fixture(scope="module")
def trained(file: Path) -> Path:
    """A tiny policy trained on two recordings of the task; the file is gone afterwards."""
    out = file.parent
    argv = ["record", "--task", str(file), "--out", str(out / "set"), "--episodes", "2"]
    assert cli.main([*argv, "--noise-rad", "0"]) == 0
    run = out / "run"
    argv = ["train", "debug", str(out / "set"), "--out", str(run), "--steps", "2"]
    assert cli.main([*argv, "--device", "cpu"]) == 0
    file.rename(out / "gone.yaml")
    return run


def test_its_recordings_are_whole_and_carry_the_task(trained: Path) -> None:
    dataset = open_dataset(trained.parent / "set")
    assert {note["task"] for note in dataset.notes} == {"mine"}
    assert {note["reason"] for note in dataset.notes} == {"success"}
    assert dataset.tasks == ("Put the can on the square",)
    assert [c.name for c in dataset.contract.privileged] == ["can.x", "can.y", "can.z"]
    scene = json.loads((trained.parent / "set" / "meta" / "vibrissa" / "scene.json").read_text())
    assert scene["rules"]["name"] == "mine"


def test_a_checkpoint_is_judged_without_the_file(trained: Path, capsys) -> None:
    argv = ["eval", str(trained), "--episodes", "1", "--alone", "--json", "--device", "cpu"]
    assert cli.main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["task"], told["episodes"]) == ("mine", 1)
    policy = load_policy(trained, device="cpu")
    place = place_for(policy.contract, site="there")
    assert place.area() == (0.22, 0.1, 0.01)
    assert place.scene.start_noise_rad == 0.0  # as the file says, not as it was recorded
    wanted = loop_contract(policy.contract)
    assert differences(wanted, place.make_arm().contract) == []


def test_openloop_and_inspect_take_its_dataset(trained: Path, capsys) -> None:
    assert cli.main(["openloop", str(trained), str(trained.parent / "set"), "--json"]) == 0
    assert cli.main(["data", "inspect", str(trained.parent / "set")]) == 0
    assert "Put the can on the square" in capsys.readouterr().out


def test_a_scripted_pilot_is_judged_on_a_file(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    argv = ["eval", "--pilot", "expert", "--task", str(path), "--episodes", "2", "--json"]
    assert cli.main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["success"], told["task"]) == (2, "mine")


@pytest.mark.parametrize(
    "argv",
    [
        ["record", "--out", "OUT", "--task", "FILE"],
        ["demo", "--out", "OUT", "--task", "FILE"],
        ["eval", "--pilot", "expert", "--task", "FILE", "--out", "OUT"],
        ["task", "check", "FILE"],
    ],
)
def test_a_bad_file_is_one_line_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    path, out = tmp_path / "bad.yaml", tmp_path / "out"
    path.write_text(MINE.replace("[0.2, -0.12]", "[0.2, 0.09]"))
    words = {"OUT": str(out), "FILE": str(path)}
    assert cli.main([words.get(word, word) for word in argv]) == 1
    err = capsys.readouterr().err
    assert f"{path}, line 5: spawn 'here' overlaps the zone at (0.200, 0.090)" in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_a_file_is_told_in_words_and_as_json(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    assert cli.main(["task", "check", str(path)]) == 0
    told = capsys.readouterr().out
    assert "object   can, a cylinder of 30 × 30 × 40 mm, 40 g" in told
    assert "spawn    there: (0.22, 0.1) ± 0.01 m" in told
    assert "limits   8 s, 120 ticks at 15 Hz" in told
    assert cli.main(["task", "check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scene"]["object"]["shape"] == "cylinder"


def test_a_picture_shows_the_scene_with_its_spawn(tmp_path: Path, capsys, opengl: None) -> None:
    picture = tmp_path / "stack.png"
    assert cli.main(["task", "check", "stack", "--picture", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    deeper = tmp_path / "new" / "stack.png"
    assert cli.main(["task", "check", "stack", "--picture", str(deeper)]) == 0
    assert deeper.is_file()
    assert cli.main(["task", "check", "stack", "--picture", str(picture)]) == 1
    assert "want the name of a new .png file" in capsys.readouterr().err


def test_the_demo_takes_a_task(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    argv = ["demo", "--out", str(out), "--task", "stack", "--recipe", "debug", "--steps", "2"]
    assert cli.main([*argv, "--demonstrations", "1", "--episodes", "2"]) == 0
    told = json.loads((out / "report.json").read_text())
    assert (told["expert"], told["zero"]) == (1.0, 0.0)
    assert "--task stack" in told["command"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert ">base</text>" in page  # the map shows where the blue cube starts
