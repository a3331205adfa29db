"""Processors and statistics that would make 0 % of a good policy: refused, each in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from data.recordings import contract, record
from learn.strangers import aged, change
from learn.tiny import EYES
from lerobot.configs import NormalizationMode
from safetensors.torch import load_file, save_file
from stock import save_tiny_act

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.loading import load_learner
from vibrissa.learn.policy import load_policy

BEFORE, AFTER = "policy_preprocessor", "policy_postprocessor"
Edit = Callable[[Any], object]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of ours, and stock ACT on it in each mode, as `lerobot-train` saves it."""
    folder = tmp_path_factory.mktemp("processors")
    record(folder / "set", contract(EYES[:1]), 2)
    for mode in ("MEAN_STD", "IDENTITY", "MIN_MAX", "QUANTILES", "QUANTILE10"):
        modes = {"VISUAL": "MEAN_STD", "STATE": mode, "ACTION": mode}
        named = {kind: NormalizationMode(value) for kind, value in modes.items()}
        model = save_tiny_act(folder / "set", folder / mode, normalization_mapping=named)
        named_set = {"dataset": {"repo_id": "local/set", "root": str(folder / "set")}}
        (model / "train_config.json").write_text(json.dumps(named_set))
    return folder


@pytest.fixture
def model(desk: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(desk / "MEAN_STD", tmp_path / "stock"))


def refused(model: Path, told: str) -> None:
    with pytest.raises(CheckpointError, match=told) as refusal:
        load_learner(model, "cpu")
    assert "\n" not in str(refusal.value)


def steps(model: Path, name: str, edit: Edit) -> None:
    """Edit the list of steps of a processor."""
    file = model / f"{name}.json"
    told = json.loads(file.read_text())
    edit(told["steps"])
    file.write_text(json.dumps(told))


def tensors(model: Path, edit: Callable[[str, torch.Tensor], torch.Tensor | None], of="") -> None:
    """Edit every tensor of the processors' statistics; None leaves it out."""
    for file in model.glob(f"{of}*normalizer*.safetensors"):
        edited = {name: edit(name, values) for name, values in load_file(file).items()}
        save_file({n: v.contiguous() for n, v in edited.items() if v is not None}, file)


def unnamed(model: Path) -> None:
    """Nobody knows any more what it was trained on."""
    (model / "train_config.json").unlink()


@pytest.mark.parametrize("mode", ["MEAN_STD", "IDENTITY", "MIN_MAX", "QUANTILES", "QUANTILE10"])
def test_what_stock_lerobot_saves_is_taken_in_every_mode(desk: Path, mode: str) -> None:
    load_learner(desk / mode, "cpu")


def test_what_we_save_is_taken_also_where_its_dataset_has_grown(
    trained: Path, copied: Path, tmp_path: Path
) -> None:
    load_learner(copied, "cpu")
    record(tmp_path / "other", contract(), 5)
    told = json.loads((copied / "train_config.json").read_text())
    told["dataset"]["root"] = str(tmp_path / "other")
    (copied / "train_config.json").write_text(json.dumps(told))
    load_learner(copied, "cpu")
    (copied / "vibrissa" / "statistics.json").unlink()  # as it was saved before
    load_learner(copied, "cpu")


def test_a_channel_that_never_moved_is_taken(desk: Path, tmp_path: Path) -> None:
    """In every mode: its spread is 0, or next to nothing."""
    for mode in ("MEAN_STD", "MIN_MAX", "QUANTILES"):
        for spread in (0.0, 1e-7):
            model = Path(shutil.copytree(desk / mode, tmp_path / f"{mode}{spread}"))
            unnamed(model)

            def still(name: str, values: torch.Tensor, spread: float = spread) -> torch.Tensor:
                if name.startswith(("action", "observation.state")) and "count" not in name:
                    values = values.clone()
                    values[2] = spread if name.endswith(".std") else 12.5
                return values

            tensors(model, still)
            load_learner(model, "cpu")


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (2.0, r"its std of \S+\[\d\] is .*'s .*, 2 times as much"),
        (0.5, r"0.5 times as much"),
        (1.1, r"1.1 times as much"),
        (0.0, r"its std of \S+ is 0"),
        (-1.0, r"its std of \S+ is -"),
        (float("nan"), "hold NaN or infinity"),
        (float("inf"), "hold NaN or infinity"),
    ],
)
@pytest.mark.parametrize("whose", ["ours", "stock"])
def test_a_spread_that_is_not_the_dataset_s_is_refused(
    model: Path, copied: Path, whose: str, times: float, told: str
) -> None:
    damaged = model if whose == "stock" else copied
    tensors(damaged, lambda name, v: v * times if name.endswith(".std") else v)
    refused(damaged, told)


@pytest.mark.parametrize("kind", ["mean", "min", "max", "q01", "q50", "q99"])
def test_ours_knows_all_of_its_statistics(copied: Path, kind: str) -> None:
    """Also where the dataset is gone."""
    unnamed(copied)
    tensors(copied, lambda name, v: v * 1.05 + 0.05 if name == f"action.{kind}" else v)
    refused(copied, rf"its {kind} of action\[\d\] is|cannot be right")


def test_statistics_of_another_dataset_are_refused(trained: Path, copied: Path, model) -> None:
    """Ours says which it had, whatever is at hand; of others the dataset does."""
    other = {n: v for f in model.glob(f"{BEFORE}*normalizer*") for n, v in load_file(f).items()}
    tensors(copied, lambda name, v: other[name] * 1.3 if name in other else v)
    refused(copied, "do not hold the statistics that it was trained with|cannot be right")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda n, v: v[:5] if n == "action.std" else v, "std of action has 5 numbers.* has 6"),
        (lambda n, v: v[:1] if n == "observation.state.mean" else v, "has 1 numbers"),
        (lambda n, v: None if n == "action.std" else v, "ACTION MEAN_STD, and there is no std of"),
        (lambda n, v: None if n.startswith("observation.state") else v, "no mean and std of"),
        (lambda n, v: -v if n == "action.min" else v, r"its min of action\[\d\], .* above its"),
        (lambda n, v: v + 500 if n == "action.mean" else v, r"mean of action\[0\].* outside its"),
        (lambda n, v: v * 40 if n == "action.std" else v, "more than half its range"),
        (lambda n, v: v / 400 if n == "action.std" else v, "less than its range allows"),
        (lambda n, v: v.to(torch.int64) if n == "action.std" else v, "whole numbers as action.std"),
    ],
)
def test_statistics_that_contradict_themselves_need_no_dataset(
    model: Path, edit: Callable[[str, torch.Tensor], torch.Tensor | None], told: str
) -> None:
    unnamed(model)
    tensors(model, edit)
    refused(model, told)


def test_least_and_greatest_the_wrong_way_round_are_refused(desk: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(desk / "MIN_MAX", tmp_path / "model"))
    unnamed(model)
    for file in model.glob("*normalizer*.safetensors"):
        stored = load_file(file)
        stored["action.min"], stored["action.max"] = stored["action.max"], stored["action.min"]
        save_file(stored, file)
    refused(model, r"its min of action\[0\], .* is above its")


def _at(steps: list[Any], kind: str) -> int:
    return next(i for i, step in enumerate(steps) if step["registry_name"] == kind)


def _mode(steps: list[Any], kind: str, of: str, mode: str) -> None:
    steps[_at(steps, kind)]["config"]["norm_map"][of] = mode


def _rename(steps: list[Any], kind: str, key: str) -> None:
    features = steps[_at(steps, kind)]["config"]["features"]
    features[f"{key}_old"] = features.pop(key)


NORM, UNNORM = "normalizer_processor", "unnormalizer_processor"


@pytest.mark.parametrize(
    ("name", "edit", "told"),
    [
        (AFTER, lambda s: s.pop(_at(s, UNNORM)), r"ACTION MEAN_STD, .* no step that does it"),
        (AFTER, lambda s: _mode(s, UNNORM, "ACTION", "IDENTITY"), "its step says IDENTITY"),
        (AFTER, lambda s: _mode(s, UNNORM, "ACTION", "MIN_MAX"), "its step says MIN_MAX"),
        (AFTER, lambda s: _mode(s, UNNORM, "ACTION", "QUANTILES"), "its step says QUANTILES"),
        (AFTER, lambda s: s.append(dict(s[_at(s, UNNORM)])), "it has 2 steps that does it"),
        (AFTER, lambda s: s[_at(s, UNNORM)].pop("state_file"), "does not undo it"),
        (BEFORE, lambda s: s.pop(_at(s, NORM)), "no mean and std of|does not do that"),
        (BEFORE, lambda s: _mode(s, NORM, "STATE", "IDENTITY"), r"state\[\d\] .* comes out as"),
        (BEFORE, lambda s: _mode(s, NORM, "STATE", "MIN_MAX"), "its step says MIN_MAX"),
        (BEFORE, lambda s: s.append(dict(s[_at(s, NORM)])), "it has 2 steps"),
        (BEFORE, lambda s: _rename(s, NORM, "observation.state"), "STATE MEAN_STD.* does not do"),
        (BEFORE, lambda s: s[_at(s, NORM)]["config"].update(eps=3.0), "does not do that"),
        (
            BEFORE,
            lambda s: s[_at(s, NORM)]["config"].update(normalize_observation_keys=[]),
            "does not do that",
        ),
        (
            BEFORE,
            lambda s: s[0]["config"].update(rename_map={"observation.state": "observation.joints"}),
            "observation.state is gone|cannot be used",
        ),
    ],
)
@pytest.mark.parametrize("whose", ["ours", "stock"])
def test_a_processor_that_does_not_do_what_config_json_says(
    model: Path, copied: Path, whose: str, name: str, edit: Edit, told: str
) -> None:
    damaged = model if whose == "stock" else copied
    steps(damaged, name, edit)
    refused(damaged, told)


def test_pictures_that_are_not_normalised_are_refused(model: Path) -> None:
    steps(model, BEFORE, lambda s: _mode(s, NORM, "VISUAL", "IDENTITY"))
    refused(model, "VISUAL MEAN_STD, .*its step says IDENTITY")


def test_another_mode_in_config_json_is_refused_too(model: Path) -> None:
    told = json.loads((model / "config.json").read_text())
    told["normalization_mapping"]["STATE"] = "MIN_MAX"
    (model / "config.json").write_text(json.dumps(told))
    refused(model, "config.json says STATE MIN_MAX.*its step says MEAN_STD")


def test_both_processors_must_hold_one_action(model: Path) -> None:
    unnamed(model)
    tensors(model, lambda n, v: v * 1.02 if n == "action.std" else v, of=AFTER)
    refused(model, "does not undo it.* comes out as")


def test_steps_in_another_order_are_taken_where_they_do_the_same(model: Path) -> None:
    steps(model, AFTER, lambda s: s.reverse())
    load_learner(model, "cpu")


def test_whole_numbers_are_no_weights(model: Path) -> None:
    stored = load_file(model / "model.safetensors")
    stored = {
        n: v.round().to(torch.int32) if n.endswith("action_head.weight") else v
        for n, v in stored.items()
    }
    save_file(stored, model / "model.safetensors")
    refused(model, r"1 of another type: \S+ int32 instead of float32")


def test_half_the_precision_is_taken(model: Path) -> None:
    stored = load_file(model / "model.safetensors")
    save_file(
        {n: v.half() if v.is_floating_point() else v for n, v in stored.items()},
        model / "model.safetensors",
    )
    load_learner(model, "cpu")


def test_statistics_within_old_weights_are_tried_too(desk: Path, tmp_path: Path) -> None:
    old = aged(desk / "MEAN_STD", tmp_path / "old")
    load_learner(old, "cpu")
    stored = load_file(old / "model.safetensors")
    name = "unnormalize_outputs.buffer_action.std"
    save_file({**stored, name: stored[name] * 0}, old / "model.safetensors")
    refused(old, "its std of action is 0")


def test_a_dataset_that_was_edited_since_is_another_one_only_where_it_says_so(
    desk: Path, model: Path, tmp_path: Path
) -> None:
    """Other rows, other statistics: nothing says that the checkpoint's are wrong."""
    there = Path(shutil.copytree(desk / "set", tmp_path / "set"))

    def grown(stats: dict[str, Any]) -> None:
        for key in ("observation.state", "action"):
            stats[key]["count"] = [stats[key]["count"][0] + 30]
            stats[key]["std"] = [v * 1.1 for v in stats[key]["std"]]

    change(there, grown, "stats.json")
    named = {"dataset": {"repo_id": "local/set", "root": str(there)}}
    (model / "train_config.json").write_text(json.dumps(named))
    load_learner(model, "cpu")
    assert re.match("so101", load_policy(model).contract.robot)
