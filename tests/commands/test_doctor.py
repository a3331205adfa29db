"""`vibrissa doctor`: this very machine, as lines and as JSON; and its probes one by one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from machine.computers import GOOD, facts

from vibrissa import cli
from vibrissa.commands import doctor
from vibrissa.data import decoders
from vibrissa.data.features import ACTION, PRIVILEGED, STATE
from vibrissa.learn import devices
from vibrissa.learn.act import new_learner
from vibrissa.learn.recipes import recipe_named
from vibrissa.machine import gather
from vibrissa.machine.facts import Drawing, Torch, Trouble, Video
from vibrissa.sim import speed
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import make_scene


def test_this_machine_as_json(tmp_path: Path, capsys) -> None:
    assert cli.main(["doctor", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 0
    subjects = {line["about"]: line for line in told["lines"]}
    wanted = {"system", "python", "packages", "processor", "torch", "GPU", "OpenGL", "video"}
    assert {*wanted, "torchcodec", "disk", "space", "checkpoints", "hub"} <= set(subjects)
    assert subjects["python"]["state"] == "ok"
    assert "PyAV" in subjects["video"]["told"]
    assert str(tmp_path) in subjects["disk"]["told"]
    assert all(line["do"] for line in told["lines"] if line["state"] != "ok")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "code", "last"),
    [
        (GOOD, 0, "all is well"),
        (facts(disk={"free_bytes": 10**8}), 0, "all works; 2 to look at"),
        (facts(video=Trouble("no codec")), 1, "1 broken, 0 to look at"),
    ],
)
def test_the_end_says_how_it_stands(found, code, last, capsys, monkeypatch) -> None:
    monkeypatch.setattr(gather, "gather", lambda *_: found)
    assert cli.main(["doctor"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == last
    assert sum(line.startswith("ok ") for line in lines) > 8
    assert any(line.strip().startswith("→") for line in lines) == (last != "all is well")


def test_a_file_is_no_folder(tmp_path: Path, capsys) -> None:
    file = tmp_path / "file"
    file.touch()
    assert cli.main(["doctor", str(file)]) == 1
    assert capsys.readouterr().err == (
        f"vibrissa: {file} is a file. Name the folder in which to work.\n"
    )


def test_the_probes_tell_what_the_facts_hold() -> None:
    torch = gather._torch(json.loads(json.dumps(devices.describe())))
    assert isinstance(torch, Torch)
    assert torch.version.startswith("2.")
    assert torch.threads >= 1
    video = Video(**decoders.describe())
    assert video.pyav.startswith("15.")


def test_drawing_is_measured(opengl: None) -> None:
    drawing = Drawing(**speed.describe())
    assert drawing.frames_per_s > 0
    assert drawing.told
    assert drawing.picture == "224 x 224"


@pytest.mark.parametrize("name", doctor.WEIGHTS_BYTES)
def test_the_weights_of_the_recipes_are_as_large_as_is_told(name: str) -> None:
    vector = {"dtype": "float32", "shape": (6,), "names": list("abcdef")}
    pose = {"dtype": "float32", "shape": (5,), "names": list("xyzuv")}
    film = {"dtype": "video", "shape": (48, 64, 3), "names": ["height", "width", "channels"]}
    recipe = recipe_named(name)
    seen = {PRIVILEGED: pose}
    if recipe.inputs == "cameras":
        seen = {f"observation.images.{camera}": film for camera in ("overhead", "wrist")}
    features = {STATE: vector, ACTION: vector, **seen}
    stats = {
        key: {
            what: np.full((3, 1, 1) if feature is film else feature["shape"], value)
            for what, value in {"mean": 0.0, "std": 1.0, "min": -1.0, "max": 1.0}.items()
        }
        for key, feature in features.items()
    }
    contract = SimArm(make_scene("pick-place", camera_size=(64, 48)), cameras=True).contract
    learner = new_learner(recipe, features, stats, contract, "cpu")
    held = sum(p.numel() * p.element_size() for p in learner.policy.parameters())
    assert doctor.WEIGHTS_BYTES[name] == pytest.approx(held, rel=0.05)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, capsys) -> None:
    assert cli.main(["doctor", str(tmp_path / "nosuch")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_a_file_of_calibration_is_judged(tmp_path: Path, capsys) -> None:
    file = tmp_path / "arm.json"
    file.write_text("{}", encoding="utf-8")
    assert cli.main(["doctor", "--calibrations", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 1
    (line,) = [line for line in told["lines"] if line["about"] == "arm.json"]
    assert line["state"] == "broken"


def test_a_calibration_that_is_not_there(tmp_path: Path, capsys) -> None:
    assert cli.main(["doctor", "--calibrations", str(tmp_path / "nosuch.json")]) == 1
    assert "nosuch.json" in capsys.readouterr().err
