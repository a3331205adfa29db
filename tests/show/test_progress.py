"""Progress: a line a stage where there is no terminal, in the order in which they came."""

from __future__ import annotations

import pytest

from vibrissa.show.progress import stages


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
