"""Every parser of foreign bytes, fed with many more messages than the tests feed it.

    uv run python runs/fuzz_messages.py [--seconds 60]

For `--seconds` each: a camera's messages, requests to the twin's socket, instructions on the twin's
wire, answers on ours. A message must become a value or the one error that its reader handles;
anything else is a failure and is written down with its bytes. The messages are those of
`tests/messages.py` and of the tests beside it, drawn anew with every seed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from vibrissa.core.stats import wilson
from vibrissa.real import bus as bus_module
from vibrissa.real.bus import ServoBus, Silent, joint_bus
from vibrissa.real.camera_message import BadFrame, parsed
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.bus import split
from vibrissa.twin.control import Control
from vibrissa.twin.orders import Orders
from vibrissa.twin.station import StoodStill
from vibrissa.twin.twin import Twin

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "runs" / "results" / "fuzz_messages.json"
BATCH = 200
Feed = Callable[[Any], bool]  # whether it was taken; False: refused by the one error


def camera(data: bytes) -> bool:
    from messages import HEIGHT, WIDTH

    try:
        return parsed(data, "eye", (WIDTH, HEIGHT)).picture.shape == (HEIGHT, WIDTH, 3)
    except BadFrame:
        return False


def request_to(twin: Twin) -> Feed:
    control, orders = Control(twin.folder, Orders(twin).obey), Orders(twin)

    def feed(line: bytes) -> bool:
        told = json.loads(control.reply(line))
        assert "cannot be carried out" not in told.get("error", ""), told
        twin.advance(0.02)
        orders.obey({"do": "heal"})
        return "error" not in told

    return feed


def instructions(stream: list[bytes]) -> bool:
    from twin.test_bus import bus

    on, waiting, answers = bus(), bytearray(b"".join(stream)), 0
    for packet in split(waiting):
        answers += len(on.answer(packet))
    for servo in on.servos:
        servo.beat(0.1, 0.0, 0.0, 0.002)
    return answers > 0


def answers_on_our_wire() -> Feed:
    from real.test_bus_messages import QUESTIONS, Wire

    bus_module.PATIENT_S = bus_module.CALM_S = bus_module.QUIET_S = 0.0
    bus = ServoBus("/dev/none", "arm", retries=0)
    bus._driver = joint_bus("/dev/none")
    handler = bus._driver.port_handler
    handler.is_open = True
    handler.setPacketTimeout = lambda length: None
    handler.isPacketTimeout = lambda: True

    def feed(asked: tuple[bytes, str]) -> bool:
        handler.ser = Wire(asked[0])
        try:
            return QUESTIONS[asked[1]](bus) is not None
        except Silent:
            return False

    return feed


def parsers(folder: Path) -> Iterator[tuple[str, st.SearchStrategy[Any], Feed]]:
    """Name, messages, and what is done with one of them."""
    from messages import camera_messages, damaged
    from real.test_bus_messages import QUESTIONS, streams
    from twin.test_bus import asked
    from twin.test_control_messages import lines

    yield "camera messages", camera_messages, camera
    twin = Twin(folder, make_scene("lift"), clock=StoodStill())
    yield "requests to the twin", lines | lines.flatmap(damaged), request_to(twin)
    wire = st.lists(asked | asked.flatmap(damaged) | st.binary(max_size=12), max_size=8)
    yield "instructions on the twin's wire", wire, instructions
    questions = st.tuples(streams.map(b"".join), st.sampled_from(sorted(QUESTIONS)))
    yield "answers on our wire", questions, answers_on_our_wire()


def fuzzed(messages: st.SearchStrategy[Any], feed: Feed, seconds: float) -> dict[str, Any]:
    """Counts, and the failures with their bytes."""
    count, taken, failures = 0, 0, list[str]()
    until_s, draw = time.monotonic() + seconds, 0
    while time.monotonic() < until_s:
        draw += 1

        @seed(draw)
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(messages)
        def one(message: Any) -> None:
            nonlocal count, taken
            count += 1
            try:
                taken += feed(message)
            except BaseException as error:
                failures.append(f"{type(error).__name__}: {error}: {message!r}"[:2000])
                if isinstance(error, KeyboardInterrupt):
                    raise

        one()
    low, high = wilson(len(failures), count)
    return {
        "messages": count,
        "taken": taken,
        "refused by the one error": count - taken - len(failures),
        "failures": len(failures),
        "failure_rate_95": [low, high],
        "first_failures": failures[:5],
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=60.0)
    seconds = asked.parse_args().seconds
    sys.path.insert(0, str(ROOT / "tests"))
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}"
    result: dict[str, Any] = {"machine": machine, "seconds_each": seconds, "parsers": {}}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for name, messages, feed in parsers(Path(folder)):
            result["parsers"][name] = told = fuzzed(messages, feed, seconds)
            print(f"{name}: {told['messages']} messages, {told['failures']} failures", flush=True)
            RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(RESULT)


if __name__ == "__main__":
    main()
