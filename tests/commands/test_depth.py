"""Depth from the command line: recorded, inspected, drawn again, and left out of training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from vibrissa import cli
from vibrissa.commands import record
from vibrissa.commands.train import train_policy
from vibrissa.data.dataset import open_dataset
from vibrissa.learn.recipes import recipe_named
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import make_scene

DISTANCE = "observation.images.overhead_depth"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, opengl: None) -> Path:
    """One lift seen by the wide overhead camera, which measures depth, and by the wrist."""
    out = tmp_path_factory.mktemp("recorded") / "set"
    cfg = record.Config(
        out,
        task="lift",
        episodes=1,
        rig="rgbd",
        cameras=("overhead", "wrist"),
        camera_size=(64, 48),
        noise_rad=0.0,
        start_noise_rad=0.0,
    )
    record.record(cfg)
    return out


def test_what_was_recorded_is_what_the_camera_measured(recorded: Path) -> None:
    dataset = open_dataset(recorded)
    assert [c.name for c in dataset.contract.cameras if c.depth] == ["overhead_depth"]
    assert dataset.contract.camera("overhead").fovy_deg == 58.0
    arm = SimArm(make_scene("lift", rig="rgbd", camera_size=(64, 48)), cameras=True)
    arm.reset(0)
    (stored,) = dataset.pictures(DISTANCE, 0, [0])
    assert np.abs(stored - arm.observe().images["overhead_depth"]).max() <= 0.0005 + 1e-6


def test_inspect_shows_it_as_depth(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "inspect", str(recorded)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"depth \(m\) +overhead_depth  64 x 48  hevc", told)
    assert re.search(r"camera +overhead  64 x 48  h264", told)
    assert cli.main(["data", "inspect", str(recorded), "--json"]) == 0
    cameras = json.loads(capsys.readouterr().out)["cameras"]
    assert {c["name"]: c["depth"] for c in cameras} == {
        "overhead": False,
        "overhead_depth": True,
        "wrist": False,
    }


def test_training_leaves_it_out_and_says_so(recorded: Path, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = recipe_named("debug", steps=1)
    train_policy(
        recipe, recorded, tmp_path / "run", cache=tmp_path / "cache", say=said.append, argv=()
    )
    assert f"Recipe {recipe.name} sees no depth; left out: {DISTANCE}." in said
    contract = json.loads((tmp_path / "run" / "run.json").read_text())["contract"]
    assert [c["name"] for c in contract["cameras"]] == ["overhead", "wrist"]


def test_a_recording_without_depth_is_drawn_again_with_it(
    recorded: Path, tmp_path: Path, opengl: None
) -> None:
    argv = ["data", "rerender", str(recorded), "--cameras", "wrist", "--depth", "wrist"]
    assert cli.main([*argv, "--out", str(tmp_path / "again")]) == 0
    dataset = open_dataset(tmp_path / "again")
    kinds = {c.name: c.depth for c in dataset.contract.cameras}
    assert kinds == {"wrist": False, "wrist_depth": True}
    (metres,) = dataset.pictures("observation.images.wrist_depth", 0, [0])
    assert metres.dtype == np.float32
    assert 0.05 < np.median(metres[metres > 0]) < 2.0


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--depth", "side"], "no camera 'side' to measure depth with. There is: overhead, wrist"),
        (["--rig", "stereo"], "no rig 'stereo'. There is: rgb, rgbd"),
        (["--cameras", "overhead_depth"], "no camera 'overhead_depth'"),
    ],
)
def test_what_cannot_be_seen_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], opengl: None, argv: list[str], told: str
) -> None:
    assert cli.main(["record", "--out", str(tmp_path / "set"), *argv]) == 1
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vibrissa")]
    assert any(told in line for line in err), err
    assert not (tmp_path / "set").exists()
