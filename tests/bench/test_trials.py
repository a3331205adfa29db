"""`eval.json`: read again it is the same trial, and its episodes are the same to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vibrissa.bench.evaluate import evaluate
from vibrissa.bench.options import PilotOptions
from vibrissa.bench.outcomes import Row
from vibrissa.bench.setups import place_for
from vibrissa.bench.trials import TRIAL, Trial, open_rows, read_trial, weights_of
from vibrissa.core.errors import UsageError
from vibrissa.sim.servo import ServoCfg

VERSIONS = {"mujoco": "3"}


def varied() -> Trial:
    """A trial that differs from the usual one in all that a place and a pilot can say."""
    place = place_for(
        None,
        task="lift",
        site="far",
        friction="sticky",
        randomise="strong:friction,mass,start,joint_noise,action_latency",
        servo=ServoCfg(kp=60.0, delay_s=0.02),
    )
    return Trial(place, "expert", PilotOptions.parse("offset=-0.05,clip=-0.1:1.2"))


def rows_of(trial: Trial, seeds: list[int]) -> list[Row]:
    return list(evaluate(trial.setup(trial.load()), seeds))


def test_a_trial_is_read_as_it_was_written(tmp_path: Path) -> None:
    trial = varied()
    open_rows(tmp_path / "a", trial, VERSIONS)
    again, versions = read_trial(tmp_path / "a")
    assert again == trial
    assert versions == VERSIONS
    assert again.name == "expert:grip=offset=-0.05,clip=-0.1:1.2"


def test_an_episode_is_had_again_from_folder_and_seed(tmp_path: Path) -> None:
    file = open_rows(tmp_path / "a", varied(), VERSIONS)
    for row in rows_of(varied(), [11, 12, 13]):
        file.add(row)
    trial, _ = read_trial(tmp_path / "a")
    (again,) = rows_of(trial, [12])
    before = open_rows(tmp_path / "a", trial, VERSIONS).of(trial.name)[1]
    assert before.seed == 12
    assert before.sampled["mass"] > 0
    assert again.differing(before) == []
    assert again.differing(rows_of(replace(trial, options=PilotOptions()), [12])[0])


def test_a_folder_of_the_same_trial_is_gone_on_with_and_another_is_refused(tmp_path: Path) -> None:
    file = open_rows(tmp_path / "a", varied(), VERSIONS)
    file.add(Row(1, "expert", "lift", "success", "SUCCESS", 40))
    assert [r.seed for r in open_rows(tmp_path / "a", varied(), {"mujoco": "4"}).rows] == [1]
    other = replace(varied(), options=PilotOptions.parse("offset=-0.1"))
    with pytest.raises(UsageError, match=r'options "grip=offset=-0.05,.*now "grip=offset=-0.1"'):
        open_rows(tmp_path / "a", other, VERSIONS)
    elsewhere = replace(varied(), place=place_for(None, task="lift"))
    said = r"scene\.spawn\.centre_m \[0\.4, -0\.1\], now .*and \d+ more"
    with pytest.raises(UsageError, match=said):
        open_rows(tmp_path / "a", elsewhere, VERSIONS)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="there already and not empty"):
        open_rows(tmp_path, varied(), VERSIONS)
    with pytest.raises(UsageError, match="holds no evaluation"):
        read_trial(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_the_cells_of_a_sweep_are_named_where_one_of_them_is_meant(tmp_path: Path) -> None:
    open_rows(tmp_path / "cells" / "horizon=5", varied(), VERSIONS)
    with pytest.raises(UsageError, match="A sweep's cells do: horizon=5 in"):
        read_trial(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"format": 7}, {"pilot": "guru"}, {"options": "speed=3"}, {"scene": {}}, {"cameras": 3}],
)
def test_a_spoilt_file_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    open_rows(tmp_path / "a", varied(), VERSIONS)
    path = tmp_path / "a" / TRIAL
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=r"eval\.json cannot be used") as error:
        read_trial(tmp_path / "a")
    assert "\n" not in str(error.value)
    path.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        read_trial(tmp_path / "a")


def test_another_checkpoint_under_the_same_name_is_found_out(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"one")
    trial = Trial(place_for(None, task="lift")).of(tmp_path)
    assert trial.weights == weights_of(tmp_path)
    weights.write_bytes(b"two")
    with pytest.raises(UsageError, match="no longer the checkpoint that was judged"):
        trial.load()
