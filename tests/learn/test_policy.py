"""A checkpoint as a Policy: rad to rad, processors once, and no doubt about what was loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data.recordings import PRIVILEGED, contract, steps
from learn.tiny import EYES, quiet
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from safetensors.torch import load_file, save_file

from vibrissa.commands.train import train_policy
from vibrissa.core.contract import Channel, so101
from vibrissa.core.episode import Observation
from vibrissa.core.errors import CheckpointError, ContractError, PolicyFault
from vibrissa.core.protocols import Policy
from vibrissa.core.units import from_rad, to_rad
from vibrissa.learn.policy import check, load_policy
from vibrissa.learn.recipes import recipe_named
from vibrissa.learn.run import pretrained_folder


def observations(count: int) -> list[Observation]:
    return [step.observation for step in steps(contract(), count, seed=1)]


def test_it_is_a_policy_in_stored_units(trained: Path) -> None:
    policy = load_policy(trained, slots=2)
    assert isinstance(policy, Policy)
    assert policy.contract.unit == "deg"
    assert policy.contract.privileged == PRIVILEGED
    assert (policy.horizon, policy.chunk) == (5, 10)


def test_a_run_a_checkpoint_and_its_model_are_the_same(trained: Path) -> None:
    seen = observations(1)
    chunks = [
        load_policy(trained / part).act(seen)
        for part in ("", "checkpoints/000020", "checkpoints/last/pretrained_model")
    ]
    assert np.array_equal(chunks[0], chunks[1])
    assert np.array_equal(chunks[0], chunks[2])
    assert not np.array_equal(chunks[0], load_policy(trained / "checkpoints/000010").act(seen))


def test_the_batch_that_suits_it_is_tried_out_once(trained: Path, monkeypatch) -> None:
    policy = load_policy(trained, slots=8)
    asked, predict = [], policy.predict
    monkeypatch.setattr(policy, "predict", lambda batch: asked.append(1) or predict(batch))
    rows = policy.best_rows()
    tried = len(asked)
    assert tried >= 2
    assert policy.best_rows() == policy.in_rows(rows).best_rows() == rows
    assert len(asked) == tried


def test_its_chunks_are_stock_lerobots_actions(trained: Path) -> None:
    """The processors are applied once each and nothing else scales the numbers."""
    folder = trained / "checkpoints/last/pretrained_model"
    stock = ACTPolicy.from_pretrained(folder)
    before, after = make_pre_post_processors(stock.config, pretrained_path=str(folder))
    seen = observations(3)
    chunks = load_policy(trained, slots=3).act(seen)
    assert chunks.shape == (3, 10, 6)
    assert chunks.dtype == np.float32
    for observation, chunk in zip(seen, chunks, strict=True):
        batch = {
            "observation.state": torch.from_numpy(from_rad(observation.state, "deg")),
            "observation.environment_state": torch.from_numpy(observation.privileged),
        }
        stock.reset()
        actions = [after(stock.select_action(before(dict(batch))))[0].numpy() for _ in range(5)]
        np.testing.assert_allclose(chunk[:5], to_rad(np.array(actions), "deg"), atol=1e-5)


def test_a_slot_does_not_feel_its_neighbours(trained: Path) -> None:
    policy, seen = load_policy(trained, slots=3), observations(5)
    first = policy.act([seen[0], seen[1], seen[2]])[0]
    again = policy.act([seen[0], seen[3], seen[4]])[0]
    assert np.array_equal(first, again)


def test_privileged_channels_are_found_by_name(trained: Path) -> None:
    policy, (seen,) = load_policy(trained), observations(1)
    plain = policy.act([seen])
    arm = replace(contract(), privileged=(Channel("tray.x", "m"), PRIVILEGED[1], PRIVILEGED[0]))
    check(policy, arm)
    more = np.array([9.0, seen.privileged[1], seen.privileged[0]], np.float32)
    assert np.array_equal(policy.act([replace(seen, privileged=more)]), plain)


def test_another_arm_is_refused_with_all_that_differs(trained: Path) -> None:
    policy = load_policy(trained)
    with pytest.raises(ContractError) as told:
        check(policy, replace(so101(rate_hz=15.0), robot="koch"))
    for words in ("robot", "rate hz", "brick.x, brick.y"):
        assert words in str(told.value)
    check(policy, contract())


@pytest.mark.parametrize("damage", ["count", "state", "privileged"])
def test_wrong_observations_are_faults(trained: Path, damage: str) -> None:
    policy, (seen,) = load_policy(trained), observations(1)
    given = {
        "count": [seen, seen],
        "state": [replace(seen, state=seen.state[:5])],
        "privileged": [replace(seen, privileged=seen.privileged[:1])],
    }[damage]
    with pytest.raises(PolicyFault, match=r"wanted|slots"):
        policy.act(given)


def test_nan_stays_in_the_slot_it_came_from(trained: Path) -> None:
    policy, seen = load_policy(trained, slots=3), observations(3)
    lost = replace(seen[1], state=np.full(6, np.nan, np.float32))
    chunks = policy.act([seen[0], lost, seen[2]])
    assert np.isfinite(chunks).all(axis=(1, 2)).tolist() == [True, False, True]
    np.testing.assert_array_equal(chunks[[0, 2]], policy.act(seen)[[0, 2]])


def test_cameras_are_taken_by_name_and_size(filmed: Path, tmp_path: Path) -> None:
    few = replace(recipe_named("debug"), steps=1)
    train_policy(few, filmed, tmp_path / "run", threads=1, cache=tmp_path / "c", say=quiet)
    policy = load_policy(tmp_path / "run")
    (seen,) = [s.observation for s in steps(contract(EYES), 1, seed=0)]
    assert policy.act([seen]).shape == (1, 10, 6)
    with pytest.raises(PolicyFault, match=r"no picture of camera 'wrist'. There is: front"):
        policy.act([replace(seen, images={"front": seen.images["front"]})])
    small = {name: picture[::2] for name, picture in seen.images.items()}
    with pytest.raises(PolicyFault, match=r"wanted \(32, 48, 3\) uint8"):
        policy.act([replace(seen, images=small)])


def test_a_checkpoint_of_stock_lerobot_finds_its_dataset(copied: Path) -> None:
    shutil.rmtree(copied / "vibrissa")  # all that stock lerobot-train would not have written
    assert load_policy(copied).contract.privileged == PRIVILEGED


def test_without_any_contract_the_dataset_is_asked_for(copied: Path) -> None:
    shutil.rmtree(copied / "vibrissa")
    (copied / "train_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no contract.*--dataset PATH"):
        load_policy(copied)
    given = so101(rate_hz=30.0, unit="deg", privileged=PRIVILEGED)
    assert load_policy(copied, dataset=given).contract == given


def test_a_contract_of_another_arm_is_noticed(copied: Path) -> None:
    file = copied / "vibrissa/contract.json"
    told = json.loads(file.read_text())
    told["state"], told["action"] = told["state"][:5], told["action"][:5]
    file.write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="the network's state has 6 numbers"):
        load_policy(copied)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "policy_preprocessor.json",
        "policy_postprocessor.json",
        "policy_preprocessor_step_3_normalizer_processor.safetensors",
        "vibrissa/contract.json",
    ],
)
def test_a_file_cut_short_is_one_line(copied: Path, name: str) -> None:
    file = copied / name
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(CheckpointError) as told:
        load_policy(copied)
    assert str(copied) in str(told.value)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "policy_postprocessor.json",
        "policy_postprocessor_step_0_unnormalizer_processor.safetensors",
    ],
)
def test_a_file_that_is_missing_is_one_line(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(CheckpointError):
        load_policy(copied)


def test_a_weight_that_is_missing_is_named(copied: Path) -> None:
    stored = load_file(copied / "model.safetensors")
    del stored["model.action_head.bias"]
    save_file(stored, copied / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing: model\.action_head\.bias"):
        load_policy(copied)


def test_a_file_cannot_choose_what_is_imported(copied: Path) -> None:
    file = copied / "policy_preprocessor.json"
    told = json.loads(file.read_text())
    told["steps"].append({"class": "subprocess.Popen", "config": {"args": "touch pwned"}})
    file.write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="steps that LeRobot does not have"):
        load_policy(copied)


def test_another_kind_of_policy_is_refused(copied: Path) -> None:
    told = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**told, "type": "diffusion"}))
    with pytest.raises(CheckpointError, match=r"type 'diffusion'. Known: act"):
        load_policy(copied)


def test_copies_have_room_where_the_device_has_it(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load_policy(trained)
    assert policy.room_for_copies() > 1000
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (5_500_000_000, 80_000_000_000))
    monkeypatch.setattr(policy, "_device", "cuda:1")
    assert policy.room_for_copies() == 5
    monkeypatch.setattr(policy, "_device", "mps")
    assert policy.room_for_copies() == 0


def test_weights_that_were_written_again_are_another_policy(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pretrained_folder(trained), copy)
    first = pickle.dumps(load_policy(copy))
    assert pickle.dumps(load_policy(copy)) == first
    os.utime(copy / "model.safetensors", ns=(1, 1))
    assert pickle.dumps(load_policy(copy)) != first
