"""Microphones: heard through FFmpeg's own inputs, and never waited for."""

from __future__ import annotations

import numpy as np
import pytest
from show.test_reel import until

from vibrissa.core.errors import UsageError
from vibrissa.show.sound import RATE_HZ, Microphone

TONE = "lavfi:sine=frequency=440:sample_rate=44100,arealtime"


def test_what_is_heard_comes_in_blocks_with_their_time() -> None:
    microphone = Microphone(TONE).open()
    blocks = microphone.take()
    until(lambda: len(blocks) > 5 or bool(blocks.extend(microphone.take())))
    microphone.close()
    assert microphone.trouble is None
    samples = np.concatenate([block.samples for block in blocks])
    crossings = np.sum((samples[:-1] < 0) & (samples[1:] >= 0))
    assert crossings / (len(samples) / RATE_HZ) == pytest.approx(440, rel=0.05)
    starts = [block.start_s for block in blocks]
    assert starts == sorted(starts)


def test_only_the_newest_seconds_wait_for_a_film() -> None:
    clock = iter(range(0, 10_000))
    microphone = Microphone("lavfi:sine=duration=2", now=lambda: float(next(clock)))
    microphone._run()
    assert len(microphone.take()) <= 12
    assert microphone.take() == []


def test_a_microphone_that_ends_is_told() -> None:
    microphone = Microphone("lavfi:sine=duration=0.1").open()
    until(lambda: microphone.trouble is not None)
    assert "fell silent: its sound ended" in str(microphone.trouble)
    microphone.close()


@pytest.mark.parametrize("device", ["hw:42,0", "lavfi:nosuchfilter"])
def test_a_microphone_that_is_not_there_is_one_line(device, capfd) -> None:
    with pytest.raises(UsageError, match=f"the microphone '{device}' cannot be used"):
        Microphone(device).open()


def test_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="wants a name"):
        Microphone("")
