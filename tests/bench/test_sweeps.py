"""What a sweep tries, and what it may conclude."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.bench.charts import forest, same_again, yaw_chart
from vibrissa.bench.heat import bins, rate_map, yaw_maps
from vibrissa.bench.options import PilotOptions
from vibrissa.bench.outcomes import Row, summarise
from vibrissa.bench.picking import choose, require_apart
from vibrissa.bench.setups import place_for
from vibrissa.bench.sweeps import Cell, cells_of, verdicts
from vibrissa.bench.trials import Trial
from vibrissa.core.errors import UsageError

TRIAL = Trial(place_for(None, task="lift"), checkpoint=Path("somewhere"))


def rows(wins: str, first_seed: int = 0) -> list[Row]:
    """A row a letter: w for a success."""
    return [
        Row(
            first_seed + i,
            "policy",
            "lift",
            "success" if letter == "w" else "timeout",
            "SUCCESS" if letter == "w" else "TIMEOUT",
            100,
        )
        for i, letter in enumerate(wins)
    ]


def names(*axes: str, options: str = "", own: int = 25) -> list[str]:
    trial = Trial(TRIAL.place, options=PilotOptions.parse(options), checkpoint=TRIAL.checkpoint)
    return [cell.name for cell in cells_of(trial, axes, own_horizon=own)]


def test_every_combination_once_with_the_own_way_first() -> None:
    own = "horizon=25 (its own)"
    assert names("horizon=1,5,25,50") == [own, "horizon=1", "horizon=5", "horizon=50"]
    assert names("horizon=1,5", "min=off,0.02") == [
        *(own, "horizon=1", "horizon=1,grip=min=0.02"),
        *("horizon=5", "horizon=5,grip=min=0.02"),
    ]
    assert names("ensemble=off,0.01,0", "horizon=1,5") == [
        *(own, "horizon=1", "horizon=5", "ensemble=0.01", "ensemble=0")
    ]


def test_what_is_asked_for_beside_the_sweep_holds_in_every_cell() -> None:
    assert names("horizon=1", options="min=0.02") == ["grip=min=0.02", "horizon=1,grip=min=0.02"]
    assert names("horizon=1", options="horizon=10") == ["horizon=10", "horizon=1"]
    assert names("min=off", options="min=0.02") == ["grip=min=0.02", "horizon=25 (its own)"]


def test_one_verdict_in_many_needs_more_than_a_verdict_alone() -> None:
    base, better = rows("w" * 4 + "." * 6), rows("w" * 10)
    same = rows("w" * 4 + "." * 6)
    cells = [Cell(str(i), TRIAL) for i in range(3)]
    alone = verdicts(cells[:2], [base, better])
    assert alone[1].versus is not None
    assert alone[1].versus.verdict == "better"  # 6 to 0: p = 0.031
    several = verdicts(cells, [base, better, same])
    assert several[1].versus is not None
    assert several[1].versus.p_holm == pytest.approx(2 * 2 * 0.5**6)
    assert several[1].versus.verdict == "not separated"
    assert several[0].versus is None
    worse = verdicts(cells[:2], [better, base])
    assert worse[1].versus is not None
    assert worse[1].versus.verdict == "worse"


def test_other_scenes_are_not_paired() -> None:
    near, far = rows("w" * 19 + "."), rows("w" * 5 + "." * 15, first_seed=100)
    _, judged = verdicts([Cell("a", TRIAL), Cell("b", TRIAL)], [near, far], paired=False)
    assert judged.versus is not None
    assert judged.versus.pairs is None
    assert judged.versus.p == judged.versus.p_holm < 0.001
    assert judged.versus.verdict == "worse"


def test_the_most_successes_and_among_equals_the_longest_trained() -> None:
    cells = [Cell(str(i), TRIAL) for i in range(4)]
    assert choose(cells, [rows("ww."), rows("www"), rows("www"), rows("w..")]).name == "2"
    require_apart(range(0, 5), range(5, 9))
    with pytest.raises(UsageError, match="seed 4 would choose"):
        require_apart(range(0, 5), range(4, 9))


def placed(x: float, y: float, yaw: float, success: bool = True) -> Row:
    one = rows("w" if success else ".")[0]
    return Row(**{**one.__dict__, "spawn": (x, y, yaw)})


def test_squares_of_the_table_hold_what_began_in_them() -> None:
    area = (0.2, 0.1, 0.04)
    began = [
        placed(0.161, 0.061, 0.1),
        placed(0.161, 0.062, 0.1, success=False),
        placed(0.239, 0.139, 0.1),
        placed(0.2405, 0.1, 0.1),  # moved a little as it settled
        placed(0.3, 0.1, 0.1),  # somewhere else
    ]
    told = {(b.x_m[0], b.y_m[0]): (b.success, b.episodes) for b in bins(began, area, side=2)}
    assert {(round(x, 3), round(y, 3)): v for (x, y), v in told.items()} == {
        (0.16, 0.06): (1, 2),
        (0.16, 0.1): (0, 0),
        (0.2, 0.06): (0, 0),
        (0.2, 0.1): (2, 2),
    }


@given(st.lists(st.tuples(st.floats(0.16, 0.24), st.floats(0.06, 0.14), st.floats(-9, 9))))
def test_every_episode_is_in_one_square_and_one_sector(places: list[tuple]) -> None:
    began = [placed(*place) for place in places]
    counted = bins(began, (0.2, 0.1, 0.04), side=3, yaws=4, symmetry=2)
    assert sum(b.episodes for b in counted) == len(began)
    assert len(counted) == 36


@pytest.mark.parametrize(("symmetry", "same_deg"), [(1, 360), (2, 180), (4, 90)])
def test_a_turn_that_does_not_show_is_no_other_angle(symmetry: int, same_deg: float) -> None:
    """Of a brick it is half a turn, of a cube a quarter of one."""
    area, turn = (0.2, 0.1, 0.04), math.radians(same_deg)
    began = [placed(0.2, 0.1, 0.3), placed(0.2, 0.1, 0.3 + turn), placed(0.2, 0.1, 0.3 - turn)]
    four = bins(began, area, yaws=4, symmetry=symmetry)
    ((yaw_deg, episodes),) = [(b.yaw_deg, b.episodes) for b in four if b.episodes]
    assert episodes == 3
    assert yaw_deg == (0, same_deg / 4)
    other = bins([*began, placed(0.2, 0.1, -0.3)], area, yaws=4, symmetry=symmetry)
    assert [b.episodes for b in other if b.episodes] == [1, 3]
    assert yaw_chart(began, symmetry).count("<title>3 of 3</title>") == 1
    assert f">{same_deg // 2}°<" in yaw_chart(began, symmetry)


def test_what_looks_the_same_however_it_is_turned_has_no_yaw() -> None:
    began = [placed(0.2, 0.1, 0.3)]
    assert yaw_chart(began, 0) == yaw_maps(began, (0.2, 0.1, 0.04), 0) == ""
    assert rate_map(began, (0.2, 0.1, 0.04))
    assert same_again(2, "block") == "Half a turn shows the same block."
    assert same_again(4, "cube") == "A quarter of a turn shows the same cube."
    assert same_again(6, "nut") == "A turn by 60° shows the same nut."
    assert same_again(1, "mug") == ""


def test_drawings_say_their_counts_and_are_empty_without_places() -> None:
    began = [placed(0.2, 0.1, 0.3), placed(0.2, 0.1, 0.3, success=False)]
    area = (0.2, 0.1, 0.04)
    many = began * 20
    for drawn, counted in ((rate_map(began, area), "1/2"), (yaw_maps(many, area), "20/40")):
        assert drawn.startswith("<svg")
        assert f">{counted}<" in drawn
    assert "1/2 (9–91 %)" in rate_map(began, area).split(">")[0]  # for whoever sees no picture
    assert yaw_maps(began, area) == ""  # sixteen squares of two episodes tell nothing
    assert rate_map(rows("w"), area) == yaw_maps(rows("w"), area) == ""
    told = {"first": summarise(rows("...")), "a <name>": summarise(rows("ww."))}
    drawn = forest(told, main="a <name>")
    assert "a &lt;name&gt;" in drawn
    assert drawn.index(">0/3<") < drawn.index("dot main") < drawn.index(">2/3<")
    assert forest(told).index("dot main") < forest(told).index(">0/3<")
