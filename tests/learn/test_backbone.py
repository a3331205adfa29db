"""What a backbone knows at first, and a frozen one's feature maps in place of pictures."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from data.recordings import contract, record
from learn.tiny import EYES, quiet
from safetensors.torch import load_file

from vibrissa.commands.train import train_policy
from vibrissa.core.errors import CheckpointError, DatasetError, UsageError
from vibrissa.learn.backbone import told
from vibrissa.learn.meter import Progress
from vibrissa.learn.recipes import Recipe, Teaching, recipe_named
from vibrissa.learn.run import RunFolder

TAUGHT = replace(
    recipe_named("debug"),
    inputs="cameras",
    start="taught",
    frozen=True,
    stride=2,
    teaching=Teaching(steps=4, batch_size=4, held_out=0.5, bfloat16=False),
)


def train(recipe: Recipe, dataset: Path, out: Path, **also) -> Path:
    settings = {"threads": 1, "say": quiet, "cache": dataset.parent / "cache", **also}
    return train_policy(recipe, dataset, out, **settings)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints/last/pretrained_model/model.safetensors")


@pytest.fixture(scope="module")
def run(filmed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Progress]]:
    out, told = tmp_path_factory.mktemp("taught") / "run", []
    train(TAUGHT, filmed, out, report=told.append)
    return out, told


def test_the_lesson_is_kept_and_told(run: tuple[Path, list[Progress]]) -> None:
    out, progress = run
    told = json.loads((out / "backbone.json").read_text())
    assert told["start"] == "taught"
    assert [camera["camera"] for camera in told["cameras"]] == [
        "observation.images.front",
        "observation.images.wrist",
    ]
    for camera in told["cameras"]:
        assert set(camera["median"]) == {"brick.x", "brick.y"}
        assert camera["rows"] > 0
    stages = list(dict.fromkeys(p.stage for p in progress))
    assert stages == ["backbone", "pictures", "policy"]


def test_what_it_can_tell_is_said_in_millimetres(run: tuple[Path, list[Progress]]) -> None:
    front, wrist = told(RunFolder(run[0]))
    assert re.fullmatch(r"front tells brick\.x [\d.]+, brick\.y [\d.]+ mm \(median .*\)", front)
    assert wrist.startswith("wrist tells ")


def test_a_frozen_backbone_is_the_taught_one_in_the_end(run: tuple[Path, list[Progress]]) -> None:
    out, _ = run
    taught = load_file(out / "backbone.safetensors")
    final = weights(out)
    for name, value in taught.items():
        assert torch.equal(final[f"model.backbone.{name}"], value), name


def test_it_goes_on_bit_for_bit(
    run: tuple[Path, list[Progress]], filmed: Path, tmp_path: Path
) -> None:
    out, _ = run
    other = tmp_path / "other"
    shutil.copytree(out, other, symlinks=True)
    shutil.rmtree(other / "checkpoints/000020")
    RunFolder(other)._point_last_to(other / "checkpoints/000010")
    train(TAUGHT, filmed, other, resume=True)
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(out).items())


def test_the_lesson_is_not_learnt_twice(
    run: tuple[Path, list[Progress]], filmed: Path, tmp_path: Path
) -> None:
    """Stopped before the first checkpoint: the backbone is taken from the run's folder."""
    out, _ = run
    other, told = tmp_path / "other", []
    shutil.copytree(out, other, symlinks=True)
    shutil.rmtree(other / "checkpoints")
    train(TAUGHT, filmed, other, resume=True, report=told.append)
    assert "backbone" not in {p.stage for p in told}
    assert torch.equal(
        weights(other)["model.backbone.conv1.weight"],
        load_file(out / "backbone.safetensors")["conv1.weight"],
    )


def test_a_spoilt_backbone_file_is_named(
    run: tuple[Path, list[Progress]], filmed: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run[0], other, symlinks=True)
    shutil.rmtree(other / "checkpoints")
    (other / "backbone.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"backbone\.safetensors cannot be read"):
        train(TAUGHT, filmed, other, resume=True)


def test_learning_on_from_a_taught_backbone_changes_it(filmed: Path, tmp_path: Path) -> None:
    train(replace(TAUGHT, frozen=False, steps=4), filmed, tmp_path / "run")
    taught = load_file(tmp_path / "run" / "backbone.safetensors")
    moved = weights(tmp_path / "run")["model.backbone.conv1.weight"]
    assert not torch.equal(moved, taught["conv1.weight"])


def test_without_the_pose_there_is_no_lesson(filmed_plain: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"--backbone imagenet .* or --backbone fresh"):
        train(TAUGHT, filmed_plain, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_episode_is_too_few_to_teach_and_to_check(tmp_path: Path) -> None:
    alone = record(tmp_path / "alone", contract(EYES), 1)
    with pytest.raises(UsageError, match=r"has one episode: .*--backbone fresh"):
        train(TAUGHT, alone, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_imagenet_that_cannot_be_fetched_is_one_line(
    filmed_plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(UsageError, match=r"ImageNet's weights cannot be had .*--backbone fresh"):
        train(replace(TAUGHT, start="imagenet"), filmed_plain, tmp_path / "run")


def test_imagenet_from_the_cache(
    filmed_plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real loading code, on a file of ours under the name that torchvision looks for."""
    import torchvision

    torch.manual_seed(5)
    state = torchvision.models.resnet18(weights=None).state_dict()
    url = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / url.rsplit("/", 1)[1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    train(replace(TAUGHT, start="imagenet", steps=2), filmed_plain, tmp_path / "run")
    final = weights(tmp_path / "run")["model.backbone.layer1.0.conv1.weight"]
    assert torch.equal(final, state["layer1.0.conv1.weight"])


def test_what_cannot_be_frozen_says_so(filmed: Path, tmp_path: Path) -> None:
    vae = replace(TAUGHT, act=replace(TAUGHT.act, use_vae=True))
    with pytest.raises(UsageError, match="frozen backbone need ACT with one decoder layer"):
        train(vae, filmed, tmp_path / "run")


def test_an_unknown_start_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no backbone 'magic'\. There is: fresh, taught, imagen"):
        recipe_named("act", start="magic")
