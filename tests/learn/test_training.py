"""Training: a run that was stopped goes on as if it had not been, and a bad one says where."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learn.tiny import quiet
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from safetensors.torch import load_file

from vibrissa.commands.train import train_policy
from vibrissa.core.errors import CheckpointError, DatasetError, PolicyFault, UsageError
from vibrissa.learn.meter import Progress
from vibrissa.learn.recipes import Recipe, recipe_named
from vibrissa.learn.run import RunFolder

# With dropout and the VAE, so that a resume must also put the random generators back.
NOISY = replace(recipe_named("debug", save_every=5).act, use_vae=True, dropout=0.1)


def recipe(**changes) -> Recipe:
    return replace(recipe_named("debug"), **changes)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints/last/pretrained_model/model.safetensors")


def equal(a: Path, b: Path) -> bool:
    return all(torch.equal(x, weights(b)[name]) for name, x in weights(a).items())


def train(recipe: Recipe, dataset: Path, out: Path, **also) -> Path:
    return train_policy(recipe, dataset, out, **{"threads": 1, "say": quiet, **also})


@pytest.mark.parametrize("noisy", [False, True])
def test_ten_and_ten_are_twenty_bit_for_bit(dataset: Path, tmp_path: Path, noisy: bool) -> None:
    chosen = recipe(act=NOISY) if noisy else recipe()
    train(chosen, dataset, tmp_path / "straight")
    train(chosen, dataset, tmp_path / "other")
    shutil.rmtree(tmp_path / "other/checkpoints/000020")
    RunFolder(tmp_path / "other")._point_last_to(tmp_path / "other/checkpoints/000010")
    torch.manual_seed(99)  # what others do to the global generator makes no difference
    train(chosen, dataset, tmp_path / "other", resume=True)
    assert equal(tmp_path / "straight", tmp_path / "other")
    straight, other = (RunFolder(tmp_path / name).metrics() for name in ("straight", "other"))
    assert [row["step"] for row in other] == [row["step"] for row in straight]
    assert [row["loss"] for row in other] == [row["loss"] for row in straight]


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(dataset: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 15:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), dataset, tmp_path / "run", report=interrupt)
    last = RunFolder(tmp_path / "run").last()
    assert last is not None
    assert last.name in ("000015", "000016")
    train(recipe(), dataset, tmp_path / "run", resume=True)
    train(recipe(), dataset, tmp_path / "straight")
    assert equal(tmp_path / "run", tmp_path / "straight")


def test_the_seed_decides(dataset: Path, trained: Path, tmp_path: Path) -> None:
    train(recipe(), dataset, tmp_path / "same")
    train(recipe(), dataset, tmp_path / "other", seed=1)
    assert equal(trained, tmp_path / "same")
    assert not equal(trained, tmp_path / "other")


def test_training_leaves_the_global_generators_alone(dataset: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    train(recipe(steps=2), dataset, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_a_run_folder_can_repeat_itself(trained: Path, dataset: Path) -> None:
    told = RunFolder(trained).manifest()
    assert Recipe.from_dict(told["recipe"]) == recipe()
    assert told["dataset"]["path"] == str(dataset)
    assert told["dataset"]["frames"] == 63
    assert len(told["dataset"]["digest"]) == 16
    assert {"argv", "contract", "seed", "versions", "machine", "git"} <= told.keys()
    rows = RunFolder(trained).metrics()
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    assert {"loss", "grad_norm", "lr", "update_s", "data_s", "left_s"} <= rows[0].keys()
    assert rows[-1]["lr"] == 0.0
    assert rows[-1]["left_s"] == 0.0


def test_stock_lerobot_loads_the_checkpoint(trained: Path) -> None:
    folder = trained / "checkpoints/last/pretrained_model"
    policy = ACTPolicy.from_pretrained(folder)
    before, after = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    seen = {
        "observation.state": torch.zeros(6),
        "observation.environment_state": torch.zeros(2),
    }
    action = after(policy.select_action(before(seen)))
    assert action.shape == (1, 6)
    assert action.isfinite().all()
    stored = weights(trained)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in policy.state_dict().items())


def test_no_pickle_anywhere(trained: Path) -> None:
    files = [p for p in trained.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".json", ".jsonl", ".safetensors"}
    for file in files:
        assert file.read_bytes()[:2] not in (b"\x80\x02", b"PK"), file


def test_a_loss_that_is_not_finite_names_its_step(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyFault, match=r"is (nan|inf) at step \d+.*Last checkpoint: none"):
        train(recipe(lr=1e30, warmup=0, grad_clip=1e30, save_every=0), dataset, tmp_path / "run")


def test_other_data_is_not_gone_on_with(dataset: Path, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run", symlinks=True))
    moved = Path(shutil.copytree(dataset, tmp_path / "moved"))
    train(recipe(steps=21), moved, run, resume=True)  # a copy is the same data
    (moved / "meta/info.json").write_text((moved / "meta/info.json").read_text() + " ")
    with pytest.raises(UsageError, match="the dataset has changed since this run began"):
        train(recipe(steps=22), moved, run, resume=True)


def test_another_batch_size_is_not_gone_on_with(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run", symlinks=True))
    with pytest.raises(UsageError, match="a resumed run keeps its data"):
        train(recipe(batch_size=9), dataset, run, resume=True)


def test_a_training_state_cut_short_is_one_line(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run", symlinks=True))
    state = run / "checkpoints/last/training_state/optimizer_state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"the training state in .* cannot be read"):
        train(recipe(steps=30), dataset, run, resume=True)


def test_act_state_wants_the_privileged_pose(tmp_path: Path, filmed: Path) -> None:
    from data.recordings import contract, record

    plain = record(tmp_path / "plain", contract(privileged=False), 1)
    with pytest.raises(DatasetError, match="needs the privileged pose"):
        train(recipe_named("act-state"), plain, tmp_path / "run")
    with pytest.raises(DatasetError, match="needs at least one camera"):
        train(recipe_named("act"), plain, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(recipe(steps=1), plain, tmp_path / "run")  # the debug recipe takes what there is


def test_a_camera_policy_never_sees_the_truth(filmed: Path, tmp_path: Path) -> None:
    cameras = recipe(inputs="cameras", steps=1)
    train(cameras, filmed, tmp_path / "run", cache=tmp_path / "cache")
    folder = tmp_path / "run/checkpoints/last/pretrained_model"
    inputs = json.loads((folder / "config.json").read_text())["input_features"]
    assert set(inputs) == {
        "observation.state",
        "observation.images.front",
        "observation.images.wrist",
    }
    assert inputs["observation.images.front"]["shape"] == [3, 32, 32]
    contract = json.loads((folder / "vibrissa/contract.json").read_text())
    assert contract["privileged"] == []
    assert [c["name"] for c in contract["cameras"]] == ["front", "wrist"]
    steps = json.loads((folder / "policy_preprocessor.json").read_text())["steps"]
    (resize,) = [s for s in steps if s["registry_name"] == "image_crop_resize_processor"]
    assert resize["config"]["resize_size"] == [32, 32]


def test_a_full_disk_is_seen_before(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UsageError, match=r"checkpoints need \d+ MB and .* has 1 MB left"):
        train(recipe(), dataset, tmp_path / "run")


def test_a_device_that_is_not_there_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no device 'cuda:99' here. There is: cpu"):
        train(recipe(), dataset, tmp_path / "run", device="cuda:99")


def test_a_joint_that_never_moves_is_told_and_harmless(tmp_path: Path) -> None:
    from data.recordings import contract, edit, record
    from lerobot.datasets.dataset_tools import recompute_stats
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    def still(values: np.ndarray) -> np.ndarray:
        values[:, 2] = 20.0
        return values

    told: list[str] = []
    root = record(tmp_path / "d", contract(), 1)
    for vector in ("observation.state", "action"):
        edit(root, vector, still)
    recompute_stats(LeRobotDataset("local/x", root=root))
    assert json.loads((root / "meta/stats.json").read_text())["action"]["std"][2] < 1e-4
    train(recipe(steps=2), root, tmp_path / "run", say=told.append)
    assert any("1 of 6 channels never change: elbow_flex.pos" in line for line in told)
    assert RunFolder(tmp_path / "run").metrics()[-1]["loss"] < 10
