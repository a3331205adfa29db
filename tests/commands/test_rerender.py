"""`vibrissa data rerender`: the same rows, other pictures, and a word about their origin."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.recordings import contract, edit
from data.recordings import record as made_up

from vibrissa import cli
from vibrissa.commands import record
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.film import Film
from vibrissa.sim.arm import SimArm
from vibrissa.sim.randomise import preset
from vibrissa.sim.sample import SEEN, Sample, draw
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.tasks import make_scene

IMAGES = "observation.images."


Shots = dict[str, list[bytes]]  # by camera: every picture that was handed to its encoder


@contextmanager
def watched() -> Iterator[Shots]:
    """What is filmed meanwhile, before any coding: x264 may code equal pictures differently."""
    shots: Shots = defaultdict(list)
    add = Film.add

    def watch(film: Film, picture: np.ndarray) -> None:
        shots[film.camera.name].append(picture.tobytes())
        add(film, picture)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Film, "add", watch)
        yield shots


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory, opengl: None) -> tuple[Path, Shots]:
    """Two short episodes of the lift, lightly randomised, seen by both cameras, one in depth."""
    out = tmp_path_factory.mktemp("recorded") / "set"
    with watched() as shots:
        record.record(
            record.Config(
                out,
                task="lift",
                episodes=2,
                cameras=("overhead", "wrist"),
                depth=("overhead",),
                camera_size=(48, 32),
                randomise="light",
                noise_rad=0.0,
            )
        )
    return out, shots


@pytest.fixture(scope="module")
def recorded(filmed: tuple[Path, Shots]) -> Path:
    return filmed[0]


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same lift without pictures and without anything randomised."""
    out = tmp_path_factory.mktemp("blind") / "set"
    record.record(record.Config(out, task="lift", episodes=1, noise_rad=0.0))
    return out


def rerender(source: Path, out: Path, *argv: str) -> Dataset:
    assert cli.main(["data", "rerender", str(source), "--out", str(out), *argv]) == 0
    return open_dataset(out)


def films(dataset: Dataset, camera: str) -> np.ndarray:
    rows = range(dataset.episodes[0].length)
    return np.array(list(dataset.pictures(IMAGES + camera, 0, rows)), float)


def ours(dataset: Dataset, name: str) -> Any:
    return json.loads((dataset.root / "meta" / "vibrissa" / name).read_text())


def assert_same_rows(one: Dataset, other: Dataset) -> None:
    numbers = [name for name in one.numbers if not name.startswith("camera.")]
    assert numbers == [name for name in other.numbers if not name.startswith("camera.")]
    for name in (*numbers, *(set(one.numbers) & set(other.numbers))):
        a, b = one.column(name), other.column(name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert one.tasks == other.tasks


def test_unchanged_it_is_the_same_dataset(filmed: tuple[Path, Shots], tmp_path: Path) -> None:
    """Rows bit for bit, and so every picture of every film, before its coding."""
    recorded, shots = filmed
    with watched() as again:
        before, after = open_dataset(recorded), rerender(recorded, tmp_path / "again")
    assert_same_rows(before, after)
    assert len(shots) == 3
    assert sum(map(len, shots.values())) == 3 * before.frames
    assert again == shots
    assert after.contract == before.contract
    assert after.notes == before.notes
    assert ours(after, "scene.json") == ours(before, "scene.json")
    lineage = ours(after, "lineage.json")
    assert lineage["source"] == "set"
    assert lineage["source_digest"] == before.digest
    assert lineage["changed"] == {}
    assert describe(after.root).origin == (
        f"rerendered from stored states of set ({before.digest}): nothing changed"
    )
    assert describe(recorded).origin == ""


def test_other_cameras_sizes_and_angles(recorded: Path, tmp_path: Path, capsys) -> None:
    argv = ["--cameras", "overhead", "--camera-size", "64", "48", "--fovy", "overhead=75"]
    after = rerender(recorded, tmp_path / "wide", *argv, "--json")
    told = json.loads(capsys.readouterr().out)
    camera = {"name": "overhead", "width": 64, "height": 48, "fovy_deg": 75.0}
    assert told["cameras"] == [camera, {**camera, "name": "overhead_depth"}]  # all it measures
    assert told["frames"] == after.frames
    before = open_dataset(recorded)
    assert_same_rows(before, after)
    spec, deep = after.contract.cameras
    assert (deep.name, deep.depth) == ("overhead_depth", True)
    assert (spec.name, spec.width, spec.height, spec.fovy_deg) == tuple(camera.values())
    assert after.contract.state == before.contract.state
    assert films(after, "overhead").shape[1:] == (48, 64, 3)
    assert ours(after, "lineage.json")["changed"]["fovy_deg"] == {"overhead": 75.0}
    # Again from there: the lineage goes on, and a picture is what an arm would have seen.
    narrow = rerender(after.root, tmp_path / "narrow", "--fovy", "overhead=40")
    assert ours(narrow, "lineage.json")["before"]["source_digest"] == before.digest
    assert np.abs(films(narrow, "overhead") - films(after, "overhead")).mean() > 3


def test_pictures_for_a_recording_that_had_none(blind: Path, tmp_path: Path, opengl: None) -> None:
    """They are what the arm's own cameras would have shown, but for the video's coding."""
    argv = ["--cameras", "wrist", "--camera-size", "64", "48"]
    after = rerender(blind, tmp_path / "seeing", *argv)
    assert_same_rows(open_dataset(blind), after)
    arm = SimArm(SceneCfg.from_dict(ours(after, "scene.json")), cameras=("wrist",))
    stored, states = films(after, "wrist"), after.column("sim_state")
    for tick in (0, 15, 30):
        live = arm.show(states, tick)["wrist"].astype(float)
        error = ((live - stored[tick]) ** 2).mean()
        assert 10 * np.log10(255**2 / error) > 28  # dB


def test_looks_drawn_afresh_are_those_a_recording_would_have_had(
    blind: Path, tmp_path: Path, opengl: None
) -> None:
    argv = ["--cameras", "overhead", "--camera-size", "64", "48"]
    plain = rerender(blind, tmp_path / "plain", *argv)
    after = rerender(blind, tmp_path / "strong", *argv, "--randomise", "strong")
    assert_same_rows(plain, after)
    assert np.abs(films(plain, "overhead") - films(after, "overhead")).mean() > 5
    (note,) = after.notes
    scene = make_scene("lift", camera_size=(64, 48), random=preset("strong"))
    assert Sample.from_dict(note["sampled"]) == draw(scene, note["seed"]).only(*SEEN)
    assert ours(after, "scene.json")["random"]["mass"] == [1.0, 1.0]  # nothing lived has changed


def test_depth_for_a_recording_that_had_none(blind: Path, tmp_path: Path, opengl: None) -> None:
    argv = ["--cameras", "overhead", "--depth", "overhead", "--camera-size", "64", "48"]
    after = rerender(blind, tmp_path / "deep", *argv)
    assert after.contract.camera_names == ("overhead", "overhead_depth")
    metres = films(after, "overhead_depth")
    assert metres.shape[1:] == (48, 64)
    assert 0.4 < np.median(metres) < 0.7  # the camera hangs 0.6 m above the table
    assert_same_rows(open_dataset(blind), after)


def test_sampled_looks_can_be_taken_away(recorded: Path, tmp_path: Path) -> None:
    """What was felt stays: the block that was recorded keeps its size."""
    after = rerender(recorded, tmp_path / "bare", "--randomise", "none")
    for before, note in zip(open_dataset(recorded).notes, after.notes, strict=True):
        kept = {name: value for name, value in before["sampled"].items() if name not in SEEN}
        assert note["sampled"] == kept
    assert_same_rows(open_dataset(recorded), after)


def test_another_scene_s_cameras_and_colours(blind: Path, tmp_path: Path, opengl: None) -> None:
    dark = make_scene("lift", camera_size=(64, 48), table_rgb=(0.1, 0.1, 0.1))
    file = tmp_path / "scene.json"
    file.write_text(json.dumps(dark.to_dict()))
    argv = ["--cameras", "overhead", "--scene", str(file)]
    after = rerender(blind, tmp_path / "dark", *argv)
    assert ours(after, "scene.json")["table_rgb"] == [0.1, 0.1, 0.1]
    assert ours(after, "scene.json")["start_noise_rad"] == 0.2  # as recorded
    bright = rerender(blind, tmp_path / "bright", *argv[:2], "--camera-size", "64", "48")
    assert films(after, "overhead").mean() < films(bright, "overhead").mean() - 30


def told_by(capsys, *argv: str) -> str:
    assert cli.main(["data", "rerender", *argv]) == 1
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if not line.startswith("pictures:")]  # said once a process
    assert len(told) == 1, told
    return told[0]


def test_what_cannot_be_drawn_is_one_line(
    blind: Path, tmp_path: Path, capsys, opengl: None
) -> None:
    source, out = str(blind), str(tmp_path / "out")
    other = tmp_path / "other.json"
    other.write_text(json.dumps(make_scene("pick-place").to_dict()))
    for argv, told in (
        ([], "recorded without pictures. Name what to draw: --cameras overhead wrist"),
        (["--cameras", "front"], "no camera 'front'. This scene has: overhead, wrist"),
        (["--cameras", "wrist", "wrist"], "each one once"),
        (["--cameras", "wrist", "--fovy", "wrist"], "such as overhead=58"),
        (["--cameras", "wrist", "--fovy", "wrist=190"], "between 0 and 180"),
        (["--cameras", "wrist", "--fovy", "overhead=50"], "--fovy overhead: that camera is not"),
        (["--cameras", "wrist", "--fovy", "wrist=50", "wrist=60"], "each camera once"),
        (["--cameras", "wrist", "--camera-size", "0", "48"], "pictures of 0 × 48: 1 × 1 to 1280"),
        (["--cameras", "wrist", "--camera-size", "-8", "48"], "pictures of -8 × 48"),
        (["--cameras", "wrist", "--camera-size", "2000", "48"], "to 1280 × 960 can be drawn"),
        (["--cameras", "wrist", "--scene", str(tmp_path)], "there is no file"),
        (["--cameras", "wrist", "--fovy", "front=50"], "no camera 'front'. There is: overhead"),
        (["--cameras", "wrist", "--randomise", "wild"], "There is: none, light, strong"),
        (["--cameras", "wrist", "--camera-size", "63", "48"], "even width and height"),
        (["--cameras", "wrist", "--scene", str(other)], "the scene's object is another one"),
        (["--cameras", "wrist", "--scene", str(tmp_path / "none.json")], "there is no file"),
        (["--cameras", "wrist", "--scene", "pick-place"], "the scene's object is another one"),
        (["--cameras", "wrist", "--scene", "juggle"], "no task 'juggle'. There is: pick-place"),
    ):
        assert told in told_by(capsys, source, "--out", out, *argv)
    assert "exists already" in told_by(capsys, source, "--out", str(blind))
    assert not Path(out).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json"]


def test_a_recording_without_states_is_one_line(blind: Path, tmp_path: Path, capsys) -> None:
    real = made_up(tmp_path / "real", contract(), 1)
    out = str(tmp_path / "out")
    told = told_by(capsys, str(real), "--out", out, "--cameras", "wrist")
    assert "no states of a simulated arm (no column sim_state)" in told
    # One whose notes were lost on the way, and one whose rows speak of another scene.
    cut = tmp_path / "cut"
    shutil.copytree(blind, cut)
    (cut / "meta" / "vibrissa" / "episodes.jsonl").write_text("")
    told = told_by(capsys, str(cut), "--out", out, "--cameras", "wrist")
    assert "1 episodes and 0 lines" in told


def test_nothing_is_left_of_one_that_was_stopped(
    blind: Path, tmp_path: Path, monkeypatch, opengl: None
) -> None:
    shown, calls = SimArm.show, []

    def stopped(self: SimArm, states: np.ndarray, tick: int):
        calls.append(tick)
        if tick == 10:
            raise KeyboardInterrupt
        return shown(self, states, tick)

    monkeypatch.setattr(SimArm, "show", stopped)
    argv = ["data", "rerender", str(blind), "--out", str(tmp_path / "out"), "--cameras", "wrist"]
    assert cli.main(argv) == 130
    assert calls[-1] == 10
    assert list(tmp_path.iterdir()) == []


def test_stock_lerobot_reads_the_states_as_no_input_of_a_policy(blind: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.utils.feature_utils import dataset_to_policy_features

    stock = LeRobotDataset("local/set", root=blind)
    row: Any = stock[7]  # its transform makes everything float32
    stored = open_dataset(blind).column("sim_state")
    assert stored.dtype == np.float64
    np.testing.assert_array_equal(row["sim_state"].numpy(), stored[7].astype(np.float32))
    assert "sim_state" not in dataset_to_policy_features(stock.meta.features)


def test_a_row_changed_by_hand_is_drawn_where_it_says(
    blind: Path, tmp_path: Path, opengl: None
) -> None:
    """Pictures follow the stored states alone, whatever the seed would simulate."""
    moved = tmp_path / "moved"
    shutil.copytree(blind, moved)

    def shoved(states: np.ndarray) -> np.ndarray:
        states[:, 6] += 0.05  # the cube's x
        return states

    edit(moved, "sim_state", shoved)
    argv = ["--cameras", "overhead", "--camera-size", "64", "48"]
    one, other = (rerender(p, tmp_path / f"{p.name}-seen", *argv) for p in (blind, moved))
    assert np.abs(films(one, "overhead") - films(other, "overhead")).max() > 60
