"""Which scene a checkpoint is judged in, who stands beside it, and what the page says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vibrissa.bench.evaluate import evaluate
from vibrissa.bench.judge import judge, judge_beside
from vibrissa.bench.outcomes import Row
from vibrissa.bench.page import losses, machine, sees, versions
from vibrissa.bench.setups import PILOTS, Place, place_for, scripted
from vibrissa.core.contract import Contract, differences
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.sim.tasks import TASKS, make_scene


def contract_of(task: str, cameras: tuple[str, ...] = ()) -> Contract:
    scene = make_scene(task, camera_size=(96, 96))
    return Place(task, scene, cameras).make_arm().contract


@pytest.mark.parametrize("task", list(TASKS))
def test_a_contract_leads_back_to_its_scene(task: str) -> None:
    contract = contract_of(task, ("wrist",))
    place = place_for(contract)
    assert (place.task, place.cameras) == (task, ("wrist",))
    assert differences(contract, place.make_arm().contract) == []


def test_a_field_of_view_of_another_scene_shows() -> None:
    contract = contract_of("pick-place", ("overhead",))
    other = replace(contract, cameras=(replace(contract.cameras[0], fovy_deg=58.0),))
    (told,) = differences(other, place_for(other).make_arm().contract)
    assert "field of view: wants 58" in told


def test_a_camera_nobody_has_shows() -> None:
    contract = contract_of("pick-place", ("overhead",))
    other = replace(contract, cameras=(replace(contract.cameras[0], name="ceiling"),))
    (told,) = differences(other, place_for(other).make_arm().contract)
    assert "camera 'ceiling': wanted" in told


def test_without_a_word_about_the_task_it_must_be_named() -> None:
    contract = replace(contract_of("lift"), instruction="Fold the towel")
    with pytest.raises(UsageError, match="its instruction is 'Fold the towel'"):
        place_for(contract)
    with pytest.raises(UsageError, match="it carries no contract"):
        place_for(None)
    assert place_for(contract, task="lift").task == "lift"


def test_a_place_that_varies_says_in_every_row_how() -> None:
    place = place_for(contract_of("lift"), randomise="light")
    rows = list(evaluate(scripted(place, "expert"), [3, 4]))
    for row in rows:
        assert Row.from_json(row.to_json()) == row
        arm = place.make_arm()
        arm.reset(row.seed)
        assert row.sampled == arm.sampled
        assert row.sampled["mass"] != place.scene.object.mass_kg
    (plain,) = evaluate(scripted(place_for(contract_of("lift")), "zero"), [3])
    assert plain.sampled == {}


def test_cameras_of_two_sizes_are_refused() -> None:
    one, two = contract_of("lift", ("overhead", "wrist")).cameras
    contract = replace(contract_of("lift"), cameras=(one, replace(two, width=128)))
    with pytest.raises(ContractError, match="different sizes"):
        place_for(contract)


def test_the_map_knows_tray_and_spawn_area() -> None:
    place = place_for(None, task="pick-place", site="second")
    assert place.landmarks() == {"tray": (0.217, -0.225, 0.06)}
    assert place.area() == (0.337, -0.015, 0.04)
    assert place_for(None, task="lift").landmarks() == {}


@pytest.mark.parametrize("pilot", PILOTS)
def test_a_spawn_is_where_the_object_is_and_depends_on_the_seed_alone(pilot: str) -> None:
    place = place_for(None, task="lift")
    (row,) = evaluate(scripted(place, pilot), [41])
    (zero,) = evaluate(scripted(place, "zero"), [41])
    assert row.spawn is not None
    assert row.spawn == zero.spawn
    assert abs(row.spawn[0] - 0.25) < 0.021
    assert abs(row.spawn[1]) < 0.021


def test_seeds_with_a_row_are_not_tried_again() -> None:
    place = place_for(None, task="lift")
    new: list[Row] = []
    first = judge(scripted(place, "zero"), [5, 6], keep=new.append)
    marked = replace(first[0], detail="from before")
    again = judge(scripted(place, "zero"), [5, 6, 7], known=[marked, first[1]], keep=new.append)
    assert [r.seed for r in new] == [5, 6, 7]
    assert [r.seed for r in again] == [5, 6, 7]
    assert again[0].detail == "from before"


def test_expert_and_zero_stand_beside() -> None:
    beside = judge_beside(place_for(None, task="lift"), [3, 4])
    assert {n: [r.success for r in rows] for n, rows in beside.items()} == {
        "expert": [True, True],
        "zero": [False, False],
    }


def test_what_a_policy_sees_is_said_openly() -> None:
    assert "no real arm could tell it: block.x" in sees(contract_of("pick-place"))
    seen = sees(replace(contract_of("pick-place", ("wrist",)), privileged=()))
    assert seen == "The policy sees 6 joint positions, and the cameras wrist 96 × 96."


def test_the_training_curve_is_found_from_anywhere_in_the_run(tmp_path: Path) -> None:
    inside = tmp_path / "run" / "checkpoints" / "000002" / "pretrained_model"
    inside.mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    lines = [json.dumps({"step": i, "loss": 1 / i}) for i in (1, 2)]
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    for place in (tmp_path / "run", inside):
        assert losses(place) == [(1.0, 1.0), (2.0, 0.5)]
    assert losses(tmp_path) == []
    assert losses(None) == []


def test_machine_and_versions_are_told() -> None:
    assert int(machine()["cores"]) > 0
    assert versions()["lerobot"]
