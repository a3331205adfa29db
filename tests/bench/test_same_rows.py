"""A checkpoint's rows are the same bits whatever the slots, the processes and the order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from bench.builds import once_a_helper_has_one, short
from stock import save_tiny_act

from vibrissa.bench.evaluate import Setup, evaluate
from vibrissa.bench.judge import judge
from vibrissa.bench.outcomes import Row
from vibrissa.bench.setups import learnt, place_for
from vibrissa.commands.record import Config, record
from vibrissa.data.dataset import open_dataset
from vibrissa.learn.policy import load_policy

SEEDS = (3, 11, 4)


def checkpoint(folder: Path, cameras: tuple[str, ...]) -> Path:
    """An ACT of LeRobot's own making: not trained, so that every bit of it counts."""
    size = (64, 48) if cameras else None
    made = record(
        Config(
            out=folder / "set",
            pilot="random",
            task="lift",
            episodes=1,
            cameras=cameras,
            camera_size=size,
            keep_failures=True,
        )
    )
    assert made.episodes == 1
    contract = open_dataset(folder / "set").contract
    assert contract is not None
    saved = save_tiny_act(folder / "set", folder / "model")
    (saved / "vibrissa").mkdir()
    (saved / "vibrissa" / "contract.json").write_text(json.dumps(contract.to_dict()))
    return saved


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("blind"), ())


@pytest.fixture(scope="module")
def seeing(opengl: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("seeing"), ("overhead", "wrist"))


@pytest.fixture(params=["blind", "seeing"])
def saved(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def setup_of(saved: Path, *, slots: int = 0, beside: bool = False) -> Setup:
    policy = load_policy(saved)
    setup = learnt(place_for(policy.contract), policy, slots=slots, beside=beside)
    return replace(setup, make_task=partial(short, setup.make_task))


def plain(rows: Sequence[Row]) -> list[str]:
    """Every field but those of a clock, by seed."""
    told = [replace(row, wall_s=0.0, latency_s=(0.0, 0.0)) for row in rows]
    return [row.to_json() for row in sorted(told, key=lambda row: row.seed)]


def test_rows_are_the_same_bits_for_any_number_of_slots(saved: Path) -> None:
    alone = plain([row for seed in SEEDS for row in evaluate(setup_of(saved, slots=1), [seed])])
    assert len(set(alone)) == len(SEEDS)
    for slots, beside in ((16, False), (3, True)):
        setup = setup_of(saved, slots=slots, beside=beside)
        assert setup.slots == slots
        assert plain(list(evaluate(setup, SEEDS))) == alone


def test_rows_are_the_same_bits_from_two_processes(blind: Path, tmp_path: Path) -> None:
    setup = setup_of(blind)
    there = partial(once_a_helper_has_one, tmp_path / "mark", setup.make_arm)
    rows = judge(replace(setup, make_arm=there), SEEDS, workers=2, slots=1)
    assert plain(rows) == plain(list(evaluate(setup, SEEDS)))
    assert (tmp_path / "mark").exists()


def test_a_place_in_the_batch_is_not_felt(saved: Path) -> None:
    """The size that is chosen is one of which every row answers alike."""
    policy = load_policy(saved)
    rows = policy.best_rows()
    assert rows > 1
    assert policy.in_rows(rows).slots == rows
    assert policy.slots == 1


def test_a_batch_in_which_places_tell_is_not_chosen(
    blind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load_policy(blind)
    right = policy.predict

    def biased(batch):
        answers = right(batch)
        if len(answers) > 1:
            answers = answers.clone()
            answers[-1] += 1e-6
        return answers

    monkeypatch.setattr(policy, "predict", biased)
    assert policy.best_rows() == 1


def test_only_what_the_policy_looks_at_is_rendered(
    seeing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pictures once at every inference, and nothing in between; no depth."""
    from vibrissa.sim import pictures

    drawn: list[str] = []
    draw = pictures.draw

    def counted(cfg, data, camera, width, height):
        drawn.append(camera)
        return draw(cfg, data, camera, width, height)

    monkeypatch.setattr(pictures, "draw", counted)
    monkeypatch.setattr(pictures, "draw_depth", None)
    (row,) = evaluate(setup_of(seeing, slots=1), SEEDS[:1])
    assert row.inferences == row.ticks / 4
    assert sorted(drawn) == ["overhead"] * row.inferences + ["wrist"] * row.inferences
