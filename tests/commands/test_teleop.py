"""`vibrissa teleop`: leading without recording, its figures, and what happens after a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.desk import press, served

from vibrissa import cli
from vibrissa.twin.twin import Twin


@pytest.fixture
def desk(tmp_path: Path):
    with served(tmp_path / "twin") as twin:
        yield twin


def _teleop(twin: Twin, *more: str) -> int:
    return cli.main(["teleop", "--config", str(twin.folder / "rig.yaml"), *more])


def test_the_leader_is_followed_between_the_ticks(desk: Twin, capsys) -> None:
    assert _teleop(desk, "--seconds", "1.5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["timing"]["ticks"] == 45
    assert told["forwarding"]["rate_hz"] > 31  # more often than it is looked at
    assert 0 < told["forwarding"]["latency_p50_ms"] < told["forwarding"]["gap_most_ms"]
    assert told["faults"] == []
    here, there = (desk.stations[arm].body.angles for arm in ("follower", "leader"))
    assert abs(here[0] - there[0]) < 0.5


def test_it_tells_rate_delay_and_how_the_servos_are(desk: Twin, capsys) -> None:
    assert _teleop(desk, "--seconds", "1.5") == 0
    out = capsys.readouterr().out
    for words in ("of 30 Hz", "leader to follower", "servos: ", "°C", " V ("):
        assert words in out


def test_esc_ends_it(desk: Twin, monkeypatch, capsys) -> None:
    press(monkeypatch, [*[None] * 20, "right", "s", "esc"])
    assert _teleop(desk, "--json") == 0
    assert json.loads(capsys.readouterr().out)["timing"]["ticks"] == 22


def test_a_leader_that_falls_silent_stops_the_follower_and_may_come_back(
    desk: Twin, monkeypatch, capsys
) -> None:
    from vibrissa.twin.faults import BusFault

    def presses():
        yield from [None] * 5
        desk.stations["leader"].fault(BusFault("silent"))
        for _ in range(2000):
            if "Esc stop" in heard():
                break
            yield None
        desk.stations["leader"].heal()
        yield "right"
        yield from [None] * 5
        yield "esc"

    def heard() -> str:
        seen.append(capsys.readouterr().err)
        return "".join(seen)

    seen: list[str] = []
    press(monkeypatch, presses())
    assert _teleop(desk) == 0
    heard()
    assert "no answer from" in "".join(seen)
    assert "The arm holds" in "".join(seen)


def test_without_anybody_at_the_keys_a_fault_ends_it(desk: Twin, capsys) -> None:
    from vibrissa.twin.faults import BusFault

    desk.stations["leader"].fault(BusFault("silent", at_s=3.0))
    assert _teleop(desk, "--seconds", "120") == 1
    assert "no answer from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--pilot", "expert"], "no pilot 'expert'. Name one with --pilot: leader, keyboard"),
        (["--rate", "0"], "--rate 0: more than 0"),
        (["--live"], "--live needs a screen"),
    ],
)
def test_what_makes_no_sense_is_one_line(desk: Twin, monkeypatch, capsys, argv, told) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    assert _teleop(desk, *argv) == 1
    assert told in capsys.readouterr().err


def test_keys_do_not_lead_where_there_are_none(tmp_path, capsys) -> None:
    for argv in (["teleop"], ["record", "--out", str(tmp_path / "set"), "--episodes", "1"]):
        assert cli.main([*argv, "--pilot", "keyboard", "--seconds", "0.5"]) == 1
        assert "there is none here" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_without_a_file_the_simulated_arm_is_led_by_keys(monkeypatch, capsys) -> None:
    press(monkeypatch, [None, "q", None, "w"])
    assert cli.main(["teleop", "--pilot", "keyboard", "--seconds", "0.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["timing"]["ticks"] == 15
    assert cli.main(["teleop"]) == 1
    assert "nobody leads" in capsys.readouterr().err
