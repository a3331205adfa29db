"""Task files: what is read, and for every mistake one line that names the line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from vibrissa.control.marked import Lines, read_marked
from vibrissa.core.errors import UsageError
from vibrissa.sim.goals import TrayCfg
from vibrissa.sim.scene import SceneCfg, build
from vibrissa.sim.task_checks import check_task
from vibrissa.sim.task_file import load_task, shipped
from vibrissa.sim.tasks import make_scene, make_task, task_named, task_recorded

GOOD = """\
name: my-task
instruction: Put the can in the box
object:
  shape: cylinder
  diameter_m: 0.03
  height_m: 0.05
  mass_kg: 0.05
goal:
  tray: {centre_m: [0.2, -0.12], size_m: 0.12}
spawn:
  here: {centre_m: [0.2, 0.12], half_m: 0.02}
cameras:
  - overhead
  - {name: front, position_m: [0.6, 0, 0.3], look_at_m: [0.2, 0, 0], fovy_deg: 50}
limits: {max_time_s: 12, rate_hz: 20}
success: {inside: true, below_m: 0.05, released: true}
"""


def written(folder: Path, *changes: tuple[str, str], text: str = GOOD) -> Path:
    """The good file with some of its text replaced."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "my-task.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_says_everything_that_a_task_is(tmp_path: Path) -> None:
    cfg = load_task(written(tmp_path))
    scene = cfg.scene
    assert (cfg.rules.name, cfg.max_ticks, scene.rate_hz) == ("my-task", 240, 20.0)
    assert (scene.object.shape, scene.object.half_size_m) == ("cylinder", (0.015, 0.015, 0.025))
    assert scene.tray is not None
    assert (scene.tray.centre_m, scene.tray.half_m) == ((0.2, -0.12), 0.06)
    assert [c.name for c in scene.cameras] == ["overhead", "front"]
    assert list(cfg.sites) == ["here"]
    assert cfg.rules.success.below_m == 0.05
    made = make_task(str(tmp_path / "my-task.yaml"))
    assert (made.name, made.instruction) == ("my-task", "Put the can in the box")


def test_what_is_left_out_takes_its_usual_value(tmp_path: Path) -> None:
    cameras = GOOD[GOOD.index("cameras:") : GOOD.index("limits:")]
    limits = ("limits: {max_time_s: 12, rate_hz: 20}\n", "")
    scene = load_task(written(tmp_path, (cameras, ""), limits, (", size_m: 0.12", ""))).scene
    assert [c.name for c in scene.cameras] == ["overhead", "wrist"]
    assert (scene.rate_hz, scene.rules and scene.rules.max_ticks) == (30.0, 300)
    assert scene.tray == TrayCfg((0.2, -0.12))
    assert (scene.object.name, scene.object.friction) == ("block", 0.6)
    assert scene.spawn.yaw_rad == pytest.approx((-np.pi, np.pi))


def test_the_page_about_tasks_shows_the_shipped_files() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    stack, line = (shipped()[name].read_text(encoding="utf-8") for name in ("stack", "line"))
    assert stack[stack.index("name:") :] in page
    assert line[line.index("goal:") : line.index("spawn:")] in page
    assert line[line.index("success:") :] in page


@pytest.mark.parametrize("name", list(shipped()))
def test_the_shipped_files_pass_the_checks_and_go_through_json(name: str) -> None:
    cfg = task_named(name)
    check_task(cfg.scene, cfg.rules, Lines(read_marked(shipped()[name])))
    for site in cfg.sites:
        scene = make_scene(name, site=site, start_noise_rad=0.2)
        again = SceneCfg.from_dict(json.loads(json.dumps(scene.to_dict())))
        assert again == scene
        assert task_recorded(again) == cfg  # a stored scene leads back to the whole task
        assert build(scene).nu == 6


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("  mass_kg: 0.05", "  masss_kg: 0.05", 7, "no 'masss_kg'. Did you mean 'mass_kg'?"),
        ("  mass_kg: 0.05\n", "", 4, "a cylinder lacks 'mass_kg'"),
        ("  mass_kg: 0.05", "  mass_kg: heavy", 7, "mass_kg must be a number, not text (heavy)"),
        ("  mass_kg: 0.05", "  mass_kg: 50", 7, "mass_kg is 50; it must be from 0.001 to 1"),
        ("  mass_kg: 0.05", "  mass_kg: .nan", 7, "mass_kg must be a number"),
        ("  mass_kg: 0.05", "  mass_kg: 0.05\n  mass_kg: 0.06", 8, "'mass_kg' twice"),
        ("shape: cylinder", "shape: ball", 4, "one of box, cylinder, mesh, not text (ball)"),
        ("  diameter_m: 0.03", "  diameter_m: 0.08", 5, "0.08 m wide where it is narrowest"),
        ("goal:", "gaol:", 9, "Did you mean 'goal'?"),
        ("size_m: 0.12}", "size_m: big}", 9, "size_m must be a number"),
        ("centre_m: [0.2, -0.12]", "centre_m: [0.2]", 9, "must be 2 numbers (x y), not 1"),
        ("centre_m: [0.2, -0.12]", "centre_m: far", 9, "must be a list"),
        ("[0.2, -0.12]", "[0.2, 0.05]", 11, "spawn 'here' overlaps the tray at (0.200, 0.050)"),
        ("[0.2, -0.12]", "[0.7, -0.12]", 9, "the arm cannot hold the object over it"),
        ("[0.2, 0.12]", "[0.5, 0.12]", 11, "the arm cannot grasp the object at (0.480, 0.100)"),
        ("half_m: 0.02", "half_m: -0.02", 11, "half_m is -0.02"),
        ("  here: {centre_m: [0.2, 0.12], half_m: 0.02}", "  centre_m: [0.2, 0.12]", 11, "by name"),
        ("  - overhead", "  - overhead\n  - overhead", 14, "called 'overhead' is there already"),
        ("name: front", "name: overhead", 14, "called 'overhead' is there already, in line 13"),
        ("look_at_m: [0.2, 0, 0], ", "", 14, "needs look_at_m or quaternion"),
        ("  - overhead", "  - ceiling", 13, "one of overhead, wrist, not text (ceiling)"),
        ("rate_hz: 20", "rate_hz: 29.97", 15, "rate_hz 29.97: it must divide 600"),
        ("released: true", "released: perhaps", 16, "true or false, not text (perhaps)"),
        ("inside: true, below_m: 0.05, ", "below_m: 0.05, ", 16, "meets this where it starts"),
        ("below_m: 0.05", "below_m: 0.01", 16, "nothing can meet this"),
        ("below_m: 0.05", "aligned_deg: 5", 16, "a cylinder has no heading"),
        ("below_m: 0.05, released: true", "belw_m: 1", 16, "Did you mean 'below_m'?"),
        ("{inside: true, below_m: 0.05, released: true}", "{}", 16, "success asks for nothing"),
        ("name: my-task", "name: lift", 1, "there is a task 'lift' already"),
        ("name: my-task", "name: stack", 1, "there is a task 'stack' already"),
        ("name: my-task", "name: My Task", 1, "small letters"),
        ("name: my-task", "name: 7", 1, "name must be text, not a number (7)"),
        ("success:", "succes:", 16, "Did you mean 'success'?"),
        ("cameras:", "cameras: [", 13, "this is no YAML"),
    ],
)  # fmt: skip
def test_every_mistake_is_one_line_that_names_its_line(
    tmp_path: Path, old: str, new: str, line: int, told: str
) -> None:
    path = written(tmp_path, (old, new))
    with pytest.raises(UsageError) as caught:
        load_task(path)
    text = str(caught.value)
    assert told in text
    assert f"{path}, line {line}: " in text
    assert "\n" not in text


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n", "name: x\n---\nname: y\n"])
def test_a_file_that_is_no_task_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"my-task\.yaml, line \d+: "):
        load_task(written(tmp_path, text=text))


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*nowhere\.yaml"):
        task_named(str(tmp_path / "nowhere.yaml"))
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read as text"):
        task_named(str(tmp_path / "picture.yaml"))


def test_a_name_that_is_no_task_is_answered_with_all_of_them() -> None:
    with pytest.raises(UsageError, match=r"pick-place, lift, line, stack, or a file such as"):
        task_named("stakc")


def test_a_file_that_was_edited_is_read_again(tmp_path: Path) -> None:
    import os

    path = written(tmp_path)
    assert load_task(path).max_ticks == 240
    written(tmp_path, ("max_time_s: 12", "max_time_s: 6"))
    os.utime(path, ns=(1, 1))
    assert load_task(path).max_ticks == 120


def tetrahedron(folder: Path, *, text: bool, size: float = 0.03) -> Path:
    """A small STL, binary or as text."""
    corners = size * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    path = folder / "shape.stl"
    if text:
        facets = "".join(
            "facet normal 0 0 0\nouter loop\n"
            + "".join(f"vertex {x:e} {y:e} {z:e}\n" for x, y, z in corners[list(face)])
            + "endloop\nendfacet\n"
            for face in faces
        )
        path.write_text(f"solid shape\n{facets}endsolid shape\n")
    else:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
        rows = np.zeros(4, record)
        rows["corners"] = corners[np.array(faces)]
        path.write_bytes(bytes(80) + (4).to_bytes(4, "little") + rows.tobytes())
    return path


CYLINDER = "  shape: cylinder\n  diameter_m: 0.03\n  height_m: 0.05\n"
MESH = "  shape: mesh\n  file: shape.stl\n"


@pytest.mark.parametrize("text", [True, False])
def test_a_mesh_travels_with_the_scene(tmp_path: Path, text: bool) -> None:
    stl = tetrahedron(tmp_path, text=text)
    scene = load_task(written(tmp_path, (CYLINDER, MESH))).scene
    stl.unlink()
    again = SceneCfg.from_dict(json.loads(json.dumps(scene.to_dict())))
    assert again == scene
    np.testing.assert_allclose(scene.object.half_size_m, (0.015, 0.015, 0.015), atol=1e-7)
    model = build(again)
    mesh = model.mesh("object")
    assert (int(mesh.vertnum[0]), int(mesh.facenum[0])) == (4, 4)
    assert model.body("object").mass[0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("size", "line", "told"),
    [
        (None, 5, "there is no mesh file"),
        (30.0, 5, "A file in millimetres needs scale: 0.001"),
        (0.0, 5, "holds no body: 1 corners"),
        (-1.0, 5, "no whole STL file"),
    ],
)
def test_a_mesh_that_cannot_be_used(
    tmp_path: Path, size: float | None, line: int, told: str
) -> None:
    if size is not None:
        stl = tetrahedron(tmp_path, text=False, size=size)
        if size < 0:
            stl.write_bytes(stl.read_bytes()[:-7])
    path = written(tmp_path, (CYLINDER, MESH))
    with pytest.raises(UsageError, match=f"{re.escape(str(path))}, line {line}: .*{told}"):
        load_task(path)


def test_a_goal_that_can_only_be_met_leaning_is_refused(tmp_path: Path) -> None:
    zone = "zone: {centre_m: [0.42, 0.0], size_m: [0.06, 0.06]}"
    path = written(tmp_path, ("tray: {centre_m: [0.2, -0.12], size_m: 0.12}", zone))
    with pytest.raises(UsageError, match=r"line 9: zone at \(0.420, 0.000\): .* only leaning by"):
        load_task(path)


def test_what_needs_a_goal_says_so(tmp_path: Path) -> None:
    without = ("goal:\n  tray: {centre_m: [0.2, -0.12], size_m: 0.12}\n", "")
    with pytest.raises(UsageError, match=r"line 14: inside needs a goal"):
        load_task(written(tmp_path, without))
    success = ("{inside: true, below_m: 0.05, released: true}", "{above_m: 0.08}")
    assert load_task(written(tmp_path, without, success)).scene.tray is None
    high = (success[0], "{above_m: 0.45}")
    with pytest.raises(UsageError, match=r"line 14: the arm cannot lift the object to 0\.48 m"):
        load_task(written(tmp_path, without, high))
