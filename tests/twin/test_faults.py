"""Faults on purpose: when they befall, how often, and what becomes of an answer's bytes."""

from __future__ import annotations

import os
import select

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twin.arms import follower, stood_still
from twin.waiting import until

from vibrissa.core.errors import UsageError
from vibrissa.twin.bus import PING, framed
from vibrissa.twin.faults import BUS_FAULTS, SPOILT, BusFault, BusFaults

ANSWER = framed(3, 0, b"\x10\x20")


def arrived(faults: BusFaults, now_s: float = 0.0) -> list[bytes]:
    return [faults.spoil("elbow_flex", ANSWER, now_s)[1] for _ in range(1000)]


@settings(deadline=None)
@given(st.sampled_from(sorted(SPOILT)), st.binary(min_size=1, max_size=20), st.integers(0, 99))
def test_whatever_spoils_an_answer_leaves_no_whole_one(kind, data, seed) -> None:
    faults = BusFaults(seed)
    faults.add(BusFault(kind), 0.0)
    whole = framed(1, 0, data)
    assert faults.spoil("gripper", whole, 0.0)[1] != whole


@pytest.mark.parametrize("kind", sorted(SPOILT))
def test_a_rate_is_the_share_of_the_answers(kind) -> None:
    faults = BusFaults()
    faults.add(BusFault(kind, rate=0.1), 0.0)
    assert 60 < sum(data != ANSWER for data in arrived(faults)) < 140


def test_one_seed_spoils_the_same_answers() -> None:
    spoilt = []
    for _ in range(2):
        faults = BusFaults(7)
        faults.add(BusFault("corrupted", rate=0.3), 0.0)
        spoilt.append(arrived(faults))
    assert spoilt[0] == spoilt[1]


def test_a_fault_has_its_moment_its_joint_and_its_end() -> None:
    faults = BusFaults()
    faults.add(BusFault("lost", joint="gripper", at_s=1.0, for_s=2.0), 10.0)
    assert faults.spoil("gripper", ANSWER, 10.9)[1] == ANSWER
    assert faults.spoil("gripper", ANSWER, 11.0)[1] == b""
    assert faults.spoil("elbow_flex", ANSWER, 11.0)[1] == ANSWER
    assert faults.spoil("gripper", ANSWER, 13.0)[1] == ANSWER
    faults.now("lost", 13.0)
    assert not faults


def test_what_is_no_matter_of_packets_comes_and_goes_by_seconds() -> None:
    faults = BusFaults()
    faults.add(BusFault("gone", rate=0.5), 0.0)
    seconds = [{bool(faults.now("gone", s + part)) for part in (0.0, 0.5)} for s in range(100)]
    assert all(len(one) == 1 for one in seconds)
    assert 25 < sum(True in one for one in seconds) < 75


def test_healing_is_of_one_kind_or_of_all() -> None:
    faults = BusFaults()
    for kind in BUS_FAULTS:
        faults.add(BusFault(kind), 0.0)
    faults.heal("gone")
    assert len(faults.all) == len(BUS_FAULTS) - 1
    faults.heal()
    assert not faults


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "sulking"}, "lost"),
        ({"kind": "lost", "joint": "tail"}, "shoulder_pan"),
        ({"kind": "lost", "rate": 0.0}, "rate"),
        ({"kind": "lost", "at_s": -1.0}, "from -1"),
        ({"kind": "late", "amount": 90.0}, "amount"),
    ],
)
def test_nonsense_is_refused_in_a_line(fault, words) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        BusFault(**fault)
    assert "\n" not in str(refused.value)


def test_late_answers_arrive_late_and_unheard_instructions_do_nothing(tmp_path) -> None:
    with stood_still(tmp_path) as twin:
        station = twin.stations["follower"]
        port = os.open(tmp_path / "follower", os.O_RDWR | os.O_NONBLOCK)
        station.fault(BusFault("late", amount=0.5))
        os.write(port, framed(3, PING, b""))
        until(lambda: station._late)
        with pytest.raises(BlockingIOError):
            os.read(port, 100)
        twin.advance(0.6)
        until(lambda: select.select([port], [], [], 0.0)[0])
        assert os.read(port, 100) == framed(3, 0, b"")
        station.heal()
        station.fault(BusFault("unheard"))
        bus = follower(twin).bus
        bus.connect(handshake=False)
        assert bus.ping("gripper") is None
        station.heal()
        assert bus.ping("gripper") == 777
        bus.disconnect(disable_torque=False)
        os.close(port)


@pytest.mark.parametrize("kind", ["lost", "truncated", "corrupted"])
def test_a_driver_that_asks_again_gets_through_a_bad_line(tmp_path, kind) -> None:
    with stood_still(tmp_path) as twin:
        arm = follower(twin, num_read_retries=10)
        arm.connect()
        twin.stations["follower"].fault(BusFault(kind, rate=0.05))
        for _ in range(10):
            assert len(arm.get_observation()) == 6
        twin.stations["follower"].heal()
        arm.disconnect()
