"""Other people's checkpoints: ours by name, inferred and confirmed, or refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.recordings import contract, record, steps
from learn.strangers import aged, change, meta_only
from learn.tiny import EYES
from safetensors.torch import load_file, save_file
from stock import save_tiny_act

from vibrissa.bench.foreign import infer, open_policy
from vibrissa.core.contract import CameraSpec, in_unit
from vibrissa.core.errors import CheckpointError, VibrissaError
from vibrissa.core.units import JOINTS
from vibrissa.learn.policy import CheckpointPolicy
from vibrissa.learn.statistics import KINDS

STATE, ACTION = "observation.state", "action"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of ours with two cameras, and what stock LeRobot makes of it."""
    folder = tmp_path_factory.mktemp("a stranger's")
    record(folder / "set", contract(EYES, privileged=False), 2)
    save_tiny_act(folder / "set", folder / "model")
    return folder


def taken(model: Path, dataset: Path | None = None) -> CheckpointPolicy:
    """The policy under whatever is inferred, accepted as it is."""
    digest = infer(model, dataset).digest
    return open_policy(model, dataset=dataset, accepted=[digest], say=lambda _: None)


def sure(model: Path, dataset: Path | None = None) -> dict[str, tuple[str, str]]:
    return {s.what: (s.value, s.sure) for s in infer(model, dataset).said}


def test_one_of_stock_lerobot_on_our_dataset_has_the_dataset_s_contract(desk: Path) -> None:
    policy = open_policy(desk / "model", dataset=desk / "set", say=pytest.fail)
    assert policy.contract.unit == "deg"
    assert policy.contract.camera_names == ("front", "wrist")
    policy.fit(contract(EYES))


def test_the_dataset_that_its_train_config_names_is_found(desk: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(desk / "model", tmp_path / "model"))
    told = f'{{"dataset": {{"repo_id": "local/set", "root": "{desk / "set"}"}}}}'
    (model / "train_config.json").write_text(told)
    assert open_policy(model, say=pytest.fail).contract.camera_names == ("front", "wrist")


def test_a_dataset_of_ours_that_it_was_not_trained_on_is_refused(
    desk: Path, tmp_path: Path
) -> None:
    other = record(tmp_path / "other", contract(EYES, privileged=False), 4, ticks=60)
    with pytest.raises(CheckpointError, match=r"was not trained on .*/other: its mean of"):
        open_policy(desk / "model", dataset=other)


def _naming(model: Path, folder: Path, root: object, name: str = "local/set") -> Path:
    """`model` as it names a dataset in its train_config.json."""
    named = Path(shutil.copytree(model, folder))
    told = {"dataset": {"repo_id": name, "root": None if root is None else str(root)}}
    (named / "train_config.json").write_text(json.dumps(told))
    return named


def test_what_lies_where_its_dataset_was_must_be_that_dataset(desk: Path, tmp_path: Path) -> None:
    """Somebody recorded anew under the same name: another unit or rate would go unnoticed."""
    other = record(tmp_path / "set", contract(EYES, privileged=False), 4, ticks=60)
    model = _naming(desk / "model", tmp_path / "model", other)
    with pytest.raises(CheckpointError, match=r"was not trained on .*/set: its mean of"):
        open_policy(model)
    assert open_policy(model, dataset=desk / "set", say=pytest.fail).contract.unit == "deg"


def test_the_dataset_that_is_given_goes_before_the_one_that_is_named(
    desk: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(desk / "set", tmp_path / "moved"))
    change(moved, lambda told: told.update(instruction="Lift it"), "vibrissa/contract.json")
    model = _naming(desk / "model", tmp_path / "model", desk / "set")
    assert open_policy(model, dataset=moved).contract.instruction == "Lift it"
    assert open_policy(model).contract.instruction != "Lift it"


def test_a_dataset_without_a_folder_is_looked_for_where_lerobot_keeps_it(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vibrissa.learn.checkpoint.HF_LEROBOT_HOME", tmp_path / "home")
    meta_only(desk / "set", tmp_path / "home" / "me" / "block")
    model = _naming(desk / "model", tmp_path / "model", None, "me/block")
    shown: list[str] = []
    with pytest.raises(CheckpointError, match="Nothing was done"):
        open_policy(model, say=shown.append)
    assert any("me/block" in line and "its statistics are" in line for line in shown)


def test_a_dataset_that_is_not_where_it_was_is_named(desk: Path, tmp_path: Path) -> None:
    model = _naming(desk / "model", tmp_path / "model", tmp_path / "gone")
    shown: list[str] = []
    with pytest.raises(CheckpointError, match="Nothing was done"):
        open_policy(model, say=shown.append)
    assert any(f"'local/set', which is not at {tmp_path / 'gone'}" in line for line in shown)


def test_a_dataset_that_was_extended_since_is_a_warning(desk: Path, tmp_path: Path) -> None:
    grown = Path(shutil.copytree(desk / "set", tmp_path / "grown"))

    def more(stats: dict[str, Any]) -> None:
        for key in (STATE, ACTION):
            stats[key]["count"][0] += 30
            stats[key]["std"] = [1.1 * v for v in stats[key]["std"]]

    change(grown, more, "stats.json")
    said: list[str] = []
    open_policy(desk / "model", dataset=grown, say=said.append)
    (line,) = said
    assert line.startswith(f"warning {grown} is not as {desk / 'model'} was trained on it: its std")


def test_what_is_given_of_one_that_has_a_contract_is_told_to_change_nothing(desk: Path) -> None:
    said: list[str] = []
    given = ["unit=m100_100"]
    policy = open_policy(desk / "model", dataset=desk / "set", given=given, say=said.append)
    assert policy.contract.unit == "deg"
    assert said == [
        f"{desk / 'model'} has the contract of {desk / 'set'}: --given unit=m100_100 changes "
        "nothing about it"
    ]


def test_a_doubt_about_the_dataset_wants_a_word_of_its_own(desk: Path, tmp_path: Path) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta")
    sure_of_it = infer(desk / "model", meta).digest

    def move(stats: dict[str, Any]) -> None:
        stats[STATE]["mean"][2] += 0.3 * stats[STATE]["std"][2]
        stats[STATE]["count"][0] += 30  # recorded since

    change(meta, move, "stats.json")
    assert infer(desk / "model", meta).digest != sure_of_it


def test_the_usual_unit_is_that_of_the_time_it_was_recorded(desk: Path, tmp_path: Path) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta", "v2.1")
    change(meta, lambda info: info.update(robot_type="so101_follower"))
    assert sure(desk / "model", meta)["unit of joints"] == ("m100_100", "a guess")
    change(meta, lambda info: info.update(codebase_version="v3.0"))
    (line,) = [s for s in infer(desk / "model", _stats(meta, desk)).said if "unit" in s.what]
    assert (line.value, line.sure) == ("deg", "a guess")
    assert "before 0.4.4 that was -100..100" in line.source


def _stats(meta: Path, desk: Path) -> Path:
    """Statistics where format v3.0 has them."""
    shutil.copy(desk / "set" / "meta" / "stats.json", meta / "meta")
    return meta


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("lfs", "model.safetensors is a Git LFS pointer: the weights were never fetched"),
        ("adapter", r"no model.safetensors in .* \(adapter_model.safetensors alone"),
        ("processor", "no policy_postprocessor.json in .*: what its numbers are normalised with"),
        ("history", "Multiple observation steps not handled yet"),
    ],
)
def test_what_is_missing_of_it_is_one_line(
    desk: Path, tmp_path: Path, spoil: str, told: str
) -> None:
    model = Path(shutil.copytree(desk / "model", tmp_path / "model"))
    weights = model / "model.safetensors"
    if spoil == "lfs":
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    elif spoil == "adapter":
        weights.rename(model / "adapter_model.safetensors")
    elif spoil == "processor":
        (model / "policy_postprocessor.json").unlink()
    else:
        raw = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**raw, "n_obs_steps": 2}))
    with pytest.raises(CheckpointError, match=told) as refused:
        infer(model)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_without_a_contract_it_is_inferred_shown_and_confirmed(
    desk: Path, tmp_path: Path, version: str, old: bool
) -> None:
    model = aged(desk / "model", tmp_path / "old") if old else desk / "model"
    meta = meta_only(desk / "set", tmp_path / "meta", version)
    shown: list[str] = []
    with pytest.raises(CheckpointError, match="Nothing was done with") as refused:
        open_policy(model, dataset=meta, say=shown.append)
    assert "has no contract; this was inferred:" in shown[0]
    words = str(refused.value).split()
    digest = words[words.index("--accept-inferred") + 1].rstrip(".")
    with pytest.raises(CheckpointError, match="is another inference's"):
        open_policy(model, dataset=meta, accepted=["0123abcd"], say=shown.append)
    policy = open_policy(model, dataset=meta, accepted=[digest], say=shown.append)
    known = open_policy(desk / "model", dataset=desk / "set")
    policy.fit(contract(EYES))
    (seen,) = [s.observation for s in steps(contract(EYES), 1, seed=5)]
    np.testing.assert_allclose(policy.act([seen]), known.act([seen]), atol=1e-6)


def test_each_line_says_from_what_it_follows_and_how_sure_it_is(desk: Path, tmp_path: Path) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta")
    told = sure(desk / "model", meta)
    assert told["robot"] == ("so101", "told")
    assert told["rate"] == ("30 Hz", "told")
    assert told["dataset"][1] == "told"
    assert told["camera wrist"] == ("48 × 32", "told")
    assert told["unit of joints"] == ("deg", "a guess")  # within ±100 it might be -100..100
    assert told["an action is"] == ("absolute target", "likely")
    assert told["calibration"] == ("unknown", "a guess")
    bare = sure(desk / "model")
    assert bare["rate"] == ("30 Hz", "a guess")
    assert bare["robot"] == ("so101", "a guess")
    assert bare[STATE][1] == "a guess"
    assert bare["camera wrist"] == ("48 × 32", "told")
    assert bare["dataset"][0] == "none at hand"


def test_another_inference_wants_another_word(desk: Path, tmp_path: Path) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta")
    before = infer(desk / "model", meta)
    elsewhere = Path(shutil.copytree(meta, tmp_path / "elsewhere"))
    assert infer(desk / "model", elsewhere).digest == before.digest
    change(meta, lambda info: info.update(fps=15))
    after = infer(desk / "model", meta)
    assert after.contract.rate_hz == 15
    assert after.digest != before.digest


def test_old_arms_names_and_robots_are_read(desk: Path, tmp_path: Path) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta")

    def rename(info: dict[str, Any]) -> None:
        info["robot_type"] = "so100"
        for key in (STATE, ACTION):
            info["features"][key]["names"] = {"motors": [f"main_{joint}" for joint in JOINTS]}

    change(meta, rename)
    told = infer(desk / "model", meta)
    assert [c.name for c in told.contract.state] == [f"{joint}.pos" for joint in JOINTS]
    (robot,) = [s for s in told.said if s.what == "robot"]
    assert (robot.value, robot.sure) == ("so101", "told")
    assert "joint names" in robot.source
    assert "'so100'" in robot.source


def _rescaled(desk: Path, folder: Path, unit: str) -> tuple[Path, Path]:
    """The same checkpoint and dataset, as if everything had been recorded in `unit`."""
    from vibrissa.core.units import from_rad, to_rad

    meta = meta_only(desk / "set", folder / "meta")
    model = Path(shutil.copytree(desk / "model", folder / "model"))

    def line(values: list[float], spread: bool) -> list[float]:
        turned = from_rad(to_rad(np.array(values), "deg"), unit)  # type: ignore[arg-type]
        if spread:
            turned = turned - from_rad(to_rad(np.zeros(6), "deg"), unit)  # type: ignore[arg-type]
        return [float(v) for v in turned]

    def stats(told: dict[str, Any]) -> None:
        for key in (STATE, ACTION):
            for kind in KINDS:
                told[key][kind] = line(told[key][kind], kind == "std")

    change(meta, stats, "stats.json")
    import torch

    for file in model.glob("*normalizer*.safetensors"):
        stored = load_file(file)
        for key in (STATE, ACTION):
            for kind in KINDS:
                name = f"{key}.{kind}"
                if name in stored:
                    stored[name] = torch.tensor(line(stored[name].tolist(), kind == "std"))
        save_file(stored, file)
    return model, meta


@pytest.mark.parametrize("unit", ["rad", "ticks"])
def test_the_unit_follows_from_the_range_and_the_chunks_are_the_same(
    desk: Path, tmp_path: Path, unit: Any
) -> None:
    model, meta = _rescaled(desk, tmp_path, unit)
    assert sure(model, meta)["unit of joints"] == (unit, "likely")
    policy = taken(model, meta)
    assert policy.contract.state == in_unit(contract(EYES), unit).state
    policy.fit(contract(EYES))
    (seen,) = [s.observation for s in steps(contract(EYES), 1, seed=5)]
    known = open_policy(desk / "model", dataset=desk / "set")
    np.testing.assert_allclose(policy.act([seen]), known.act([seen]), atol=1e-3)


def test_what_somebody_knows_goes_before_what_is_guessed(desk: Path, tmp_path: Path) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta")
    guessed = infer(desk / "model", meta)
    given = ["unit=m100_100", "rate=15", "instruction=Lift it"]
    told = infer(desk / "model", meta, given=given)
    said = {s.what: (s.value, s.source, s.sure) for s in told.said}
    assert said["unit of joints"] == ("m100_100", "--given", "told")
    assert said["rate"] == ("15 Hz", "--given", "told")
    assert (told.contract.unit, told.contract.rate_hz) == ("m100_100", 15.0)
    assert told.contract.instruction == "Lift it"
    assert told.digest != guessed.digest
    for entry, line in (
        ("colour=red", "--given colour=red: want unit=…, rate=…, instruction=…, camera.NAME=…"),
        ("unit", "--given unit: want unit=…"),
        ("rate=inf", "--given rate=inf: want ticks a second"),
        ("camera.top=overhead", "--given camera.top: the network looks through: front, wrist."),
        ("camera.front=wrist", "two of the network's cameras would be 'wrist'"),
        ("unit=miles", "--given unit=miles. There is: rad, deg, m100_100, ticks"),
        ("rate=fast", "--given rate=fast: want ticks a second"),
    ):
        with pytest.raises(VibrissaError, match=line):
            infer(desk / "model", meta, given=[entry])
    with pytest.raises(VibrissaError, match="--given unit twice: deg and rad"):
        infer(desk / "model", meta, given=["unit=deg", "unit=rad"])


def _names(*names: str) -> Callable[[dict[str, Any]], object]:
    def edit(info: dict[str, Any]) -> None:
        info["features"][STATE] |= {"names": list(names), "shape": [len(names)]}

    return edit


POSE = ("block.x", "block.y", "block.z", "block.roll", "block.pitch", "block.yaw")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_names(*POSE), "observation.state is not the six joints alone: it holds block.x"),
        (_names(*reversed(JOINTS)), "has the joints in another order"),
        (_names(*JOINTS, "block.x"), "network's observation.state has 6 numbers, the dataset's 7"),
        (
            lambda info: info["features"][ACTION].update(names=list(POSE)),
            "an action is not six joint targets",
        ),
        (
            lambda info: info["features"].pop("observation.images.wrist"),
            "looks through camera 'wrist', which .* does not have. There is: front",
        ),
        (
            lambda info: info["features"]["observation.images.wrist"].update(shape=[64, 96, 3]),
            "camera 'wrist' is 48 × 32 in the network, 96 × 64 in",
        ),
        (lambda info: info.update(codebase_version="v1.6"), "codebase_version 'v1.6'; known are"),
        (
            lambda info: info["features"][ACTION].update(names={n: i for i, n in enumerate(POSE)}),
            "an action is not six joint targets: it holds block.x",  # as LeRobot's gym tasks say it
        ),
    ],
)
def test_what_no_so101_can_serve_is_one_line(
    desk: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], told: str
) -> None:
    meta = meta_only(desk / "set", tmp_path / "meta")
    change(meta, edit)
    with pytest.raises(VibrissaError, match=told) as refused:
        infer(desk / "model", meta)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("at", [0.3, 5.0])
def test_statistics_of_another_dataset_are_told_or_refused(
    desk: Path, tmp_path: Path, at: float
) -> None:
    """A little off: edited since, maybe. Far off: it is another one."""
    meta = meta_only(desk / "set", tmp_path / "meta")

    def move(stats: dict[str, Any]) -> None:
        stats[STATE]["mean"][2] += at * stats[STATE]["std"][2]
        stats[STATE]["count"][0] += 30  # recorded since

    change(meta, move, "stats.json")
    if at < 0.5:
        assert sure(desk / "model", meta)["dataset"][1] == "a guess"
    else:
        with pytest.raises(CheckpointError, match=r"was not trained on .* 5 standard deviations"):
            infer(desk / "model", meta)


def _moved(model: Path, key: str, mean: list[float], std: list[float]) -> None:
    import torch

    for file in model.glob("*normalizer*.safetensors"):
        stored = load_file(file)
        if f"{key}.mean" in stored:
            stored[f"{key}.mean"] = torch.tensor(mean)
            stored[f"{key}.std"] = torch.tensor(std)
            stored = {n: v for n, v in stored.items() if not n.startswith(f"{key}.q")}
            stored[f"{key}.min"] = torch.tensor(mean) - 2 * torch.tensor(std)
            stored[f"{key}.max"] = torch.tensor(mean) + 2 * torch.tensor(std)
        save_file(stored, file)


def test_a_block_s_pose_under_the_joints_names_is_noticed(desk: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(desk / "model", tmp_path / "model"))
    _moved(model, STATE, [0.2, -0.2, 0.02, 0.0, 0.0, 1.5], [0.03, 0.03, 0.001, 0.01, 0.01, 0.4])
    _moved(
        model, ACTION, [-13.0, -46.0, 61.0, 57.0, -58.0, 9.0], [13.0, 38.0, 34.0, 14.0, 9.0, 11.0]
    )
    with pytest.raises(CheckpointError, match=r"is not where its actions send the joints.*block"):
        infer(model)


def test_steps_from_where_it_is_are_told_from_targets(desk: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(desk / "model", tmp_path / "model"))
    _moved(
        model, STATE, [-13.0, -46.0, 61.0, 57.0, -58.0, 9.0], [13.0, 38.0, 34.0, 14.0, 9.0, 11.0]
    )
    _moved(model, ACTION, [0.01] * 6, [0.5] * 6)
    assert infer(model).contract.action_meaning == "delta to target"


def test_a_camera_of_another_name_is_told_and_then_it_sees_the_same(
    desk: Path, tmp_path: Path
) -> None:
    """What the network calls wrist is the arm's hand; the pictures reach the same feature."""
    eyes = (CameraSpec("front", 48, 32), CameraSpec("hand", 48, 32))
    meta = meta_only(desk / "set", tmp_path / "meta")
    given = ["camera.wrist=hand"]
    told = infer(desk / "model", meta, given=given)
    (line,) = [s for s in told.said if s.what == "camera wrist"]
    assert (line.value, line.source.endswith("name by --given")) == ("48 × 32, hand", True)
    assert told.digest != infer(desk / "model", meta).digest
    policy = open_policy(
        desk / "model", dataset=meta, accepted=[told.digest], given=given, say=lambda _: None
    )
    assert policy.contract.camera_names == ("front", "hand")
    policy.fit(contract(eyes))
    (seen,) = [s.observation for s in steps(contract(EYES), 1, seed=5)]
    images = {"front": seen.images["front"], "hand": seen.images["wrist"]}
    known = open_policy(desk / "model", dataset=desk / "set")
    chunks = policy.act([replace(seen, images=images)])
    np.testing.assert_allclose(chunks, known.act([seen]), atol=1e-6)
    white = {"front": images["front"], "hand": np.full((32, 48, 3), 255, np.uint8)}
    fed = policy.feed([replace(seen, images=white)])
    assert float(fed["observation.images.wrist"].min()) == 1.0
    assert float(fed["observation.images.front"].min()) < 1.0


def test_a_camera_that_the_arm_lacks_is_named(desk: Path) -> None:
    policy = taken(desk / "model")
    with pytest.raises(VibrissaError, match="camera 'front': wanted, but there is: top"):
        policy.fit(contract((CameraSpec("top", 48, 32),)))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("smolvla", "type 'smolvla'. Known: act. What is missing for smolvla: the transformers"),
        ("diffusion", "two observations of history"),
        ("pi0", "PaliGemma's gated tokenizer"),
        ("tdmpc", "a loader of its own"),
        (None, "names no type of policy"),
    ],
)
def test_kinds_that_cannot_be_loaded_say_what_they_lack(
    desk: Path, tmp_path: Path, kind: str | None, told: str
) -> None:
    model = Path(shutil.copytree(desk / "model", tmp_path / "model"))
    raw = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**raw, "type": kind}))
    with pytest.raises(CheckpointError, match=told):
        infer(model)


def test_joints_that_are_fed_twice_are_told_from_what_follows(desk: Path) -> None:
    """A lonely ACT is fed the joints as its environment too; without a dataset that is a guess."""
    from vibrissa.bench.foreign_clues import Clues
    from vibrissa.bench.foreign_reading import read_clues

    known = {"mean": np.zeros(6), "std": np.full(6, 9.0)}
    sizes = {STATE: 6, ACTION: 6, "observation.environment_state": 6}
    for info, why in (
        ({}, "no dataset says what they are"),
        ({"fps": 30}, "the dataset has no such feature"),
    ):
        clues = Clues(desk, sizes, {}, False, {STATE: known, ACTION: known}, info=info)
        told, said = read_clues(clues)
        (line,) = [s for s in said if s.what == "environment"]
        assert (told.privileged, line.sure) == ((), "a guess")
        assert line.source == f"six numbers, and {why}"
