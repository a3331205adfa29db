"""Progress: a line a stage where there is no terminal, in the order in which they came."""

from __future__ import annotations

import pytest

from vibrissa.show.progress import progress, stages


def test_every_stage_has_a_bar_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with stages() as tell:
        tell("looking", 1, 2, "rows", "")
        tell("looking", 2, 2, "rows", "")
        tell("training", 1, 3, "steps", "loss 0.5")
        tell("training", 3, 3, "steps", "loss 0.1")
    told = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert [line.split()[0] for line in told] == ["looking", "training"]
    assert "2/2" in told[0]
    assert "3/3" in told[1]
    assert "loss 0.1" in told[1]


def test_what_breaks_a_stage_off_leaves_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    def broken_off() -> None:
        with stages() as tell:
            tell("looking", 1, 4, "rows", "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert "1/4" in capsys.readouterr().err


class Hours:
    """A clock that somebody puts forward."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_many_that_end_at_once_were_under_way_all_along(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Hours()
    with progress("judging", 30, "episodes", done=10, now=clock) as tell:
        clock.now_s += 20.0
        for done in range(11, 19):
            tell(done, "")
    line = capsys.readouterr().err
    assert "18/30" in line
    assert "0.4 episodes/s" in line
    assert "00:30" in line


def test_a_rate_is_that_of_late(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Hours()
    with progress("sweep", 10_000, "episodes", now=clock) as tell:
        tell(1000, "")  # found in a folder, at no time at all
        for done in range(1001, 1101):
            clock.now_s += 1.0
            tell(done, "")
    line = capsys.readouterr().err
    assert "1.0 episodes/s" in line
    assert "2:28:20" in line


def test_notes_between_two_steps_take_no_rate_away(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Hours()
    with progress("comparing", 100, "seeds", now=clock) as tell:
        for block in range(3):
            for note in "abcd":
                clock.now_s += 20.0
                tell(16 * block, note)
            tell(16 * (block + 1), "")
        clock.now_s += 40.0
        tell(48, "e")
    line = capsys.readouterr().err
    assert "0.1 seeds/s" in line  # 16 since 120 s ago
    assert "06:30" in line
