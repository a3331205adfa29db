"""Who drives when: random, balanced, stored, and the same whenever it is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vibrissa.bench.order import Order, is_blind, read_order, take_order, write_order
from vibrissa.core.errors import UsageError


def drivers(order: Order) -> list[str]:
    return [order.driver(number) for number in range(2 * order.pairs)]


@pytest.mark.parametrize("pairs", [2, 10, 25, 50])
def test_each_pair_has_both_and_each_goes_first_as_often(pairs: int) -> None:
    for seed in range(20):
        told = drivers(Order(seed, pairs))
        assert all({a, b} == {"A", "B"} for a, b in zip(told[::2], told[1::2], strict=True))
        assert abs(told[::2].count("A") - told[::2].count("B")) <= 1


def test_it_is_random_from_its_seed_and_grows_without_changing() -> None:
    few, more = Order(7, 5), Order(7, 50)
    assert drivers(few) == drivers(more)[:10]
    firsts = {tuple(drivers(Order(seed, 10))[::2]) for seed in range(40)}
    assert len(firsts) > 20  # of 2 to the power of 5
    begins = [Order(seed, 1).driver(0) for seed in range(400)]
    assert 150 < begins.count("A") < 250


def test_while_it_is_blind_the_folder_does_not_say_who_drove(tmp_path: Path) -> None:
    order = take_order(tmp_path, 10, None)
    assert is_blind(tmp_path)
    assert "turns" not in json.loads((tmp_path / "order.json").read_text())
    again = take_order(tmp_path, 12, None)
    assert drivers(again)[:20] == drivers(order)
    assert again.seed != take_order(_made(tmp_path / "other"), 10, None).seed
    write_order(tmp_path, Order(again.seed, 12, revealed=True))
    assert not is_blind(tmp_path)
    assert json.loads((tmp_path / "order.json").read_text())["turns"] == drivers(again)
    with pytest.raises(UsageError, match="was revealed: rollouts added now would not be blind"):
        take_order(tmp_path, 20, None)


def test_another_seed_and_a_broken_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--order-seed -1: from 0 on"):
        take_order(tmp_path, 10, -1)
    take_order(tmp_path, 10, 3)
    with pytest.raises(UsageError, match="drawn from another --order-seed"):
        take_order(tmp_path, 10, 4)
    (tmp_path / "order.json").write_text('{"seed": 3')
    with pytest.raises(UsageError, match=r"order\.json cannot be read"):
        read_order(tmp_path)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
