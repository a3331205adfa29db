"""The small language of pilot options: what is written is what is played, and is written again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.bench.options import PilotOptions, grip_of, named
from vibrissa.control.grip import GripChange
from vibrissa.core.errors import UsageError


def test_options_are_read() -> None:
    assert PilotOptions.parse("") == PilotOptions()
    assert PilotOptions.parse("horizon=10") == PilotOptions(horizon=10)
    assert PilotOptions.parse("ensemble=0.01") == PilotOptions(ensemble=0.01)
    told = PilotOptions.parse("horizon=20,grip=offset=-0.05,clip=0.1:1.2,min=0.02")
    assert told == PilotOptions(20, None, GripChange(-0.05, 0.02, (0.1, 1.2)))
    assert PilotOptions.parse("min=0.02 , horizon=20, clip=0.1:1.2,offset=-.05") == told
    assert PilotOptions.parse("horizon=off,ensemble=off,grip=off,clip=off") == PilotOptions()


def test_a_path_with_options_behind_it() -> None:
    assert named("runs/a") == ("runs/a", PilotOptions())
    assert named("runs/a:horizon=5") == ("runs/a", PilotOptions(horizon=5))
    path, options = named(r"C:\runs\a:grip=clip=0.1:1.2")
    assert (path, options.grip.clip_rad) == (r"C:\runs\a", (0.1, 1.2))
    assert named(r"C:\runs\a") == (r"C:\runs\a", PilotOptions())


def test_the_name_says_what_is_changed() -> None:
    assert PilotOptions().name("policy") == "policy"
    assert PilotOptions(ensemble=0.01).name("policy") == "policy:ensemble=0.01"
    grip = PilotOptions(grip=GripChange(-0.05, 0.02))
    assert grip.name("expert") == "expert:grip=offset=-0.05,min=0.02"


rad = st.integers(-190, 190).map(lambda n: n / 100)
spans = st.tuples(rad, rad).filter(lambda s: s[0] < s[1])
grips = st.builds(GripChange, rad, st.integers(0, 190).map(lambda n: n / 100), st.none() | spans)
ways: st.SearchStrategy[tuple[int | None, float | None]] = st.one_of(
    st.tuples(st.none() | st.integers(1, 100), st.none()),
    st.tuples(st.none(), st.integers(0, 1000).map(lambda n: n / 100)),
)


@given(ways, grips)
def test_what_is_written_is_read_again(
    way: tuple[int | None, float | None], grip: GripChange
) -> None:
    options = PilotOptions(way[0], way[1], grip)
    assert PilotOptions.parse(options.text) == options
    assert named(f"a/b:{options.text}" if options.text else "a/b") == ("a/b", options)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("speed=3", "no option 'speed=3' of a policy. There is: horizon="),
        ("horizon", "no option 'horizon'"),
        ("horizon=ten", "horizon=ten: a whole number"),
        ("horizon=2.5", "horizon=2.5: a whole number"),
        ("horizon=0", "horizon=0: at least 1"),
        ("horizon=3,horizon=4", "horizon is given twice"),
        ("ensemble=much", "ensemble=much: a number"),
        ("ensemble=-1", "ensemble=-1: from 0"),
        ("ensemble=nan", "ensemble=nan: a number"),
        ("horizon=5,ensemble=0.01", "Leave one of them out"),
        ("grip=clip=0.3", "clip=0.3: the lowest and the highest"),
        ("grip=clip=0.3:", "clip=: a number of rad"),
        ("grip=clip=1:0.3", "the lower target first"),
        ("grip=offset=5", "at most 2 rad"),
        ("grip=tight", "no option 'grip=tight'"),
    ],
)
def test_nonsense_is_one_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        PilotOptions.parse(text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_grip_alone() -> None:
    assert grip_of("") == GripChange()
    assert grip_of("grip=min=0.02") == GripChange(squeeze_rad=0.02)
    with pytest.raises(UsageError, match="offset=, min= and clip= only"):
        grip_of("min=0.02,horizon=3")
