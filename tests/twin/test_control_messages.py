"""Whatever bytes come to the twin's socket or from it, they are answered, and it serves on."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import damaged, scalars, values

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.camera_faults import CAMERA_FAULTS
from vibrissa.twin.control import SOCKET, Control, ask
from vibrissa.twin.faults import BUS_FAULTS
from vibrissa.twin.orders import Orders
from vibrissa.twin.station import StoodStill
from vibrissa.twin.twin import Twin

numbers = scalars | st.sampled_from([1e-9, 1e300, -1.0, 0.5, 10**400])
some = settings(
    deadline=None,
    max_examples=120,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
requests = st.fixed_dictionaries(
    {"do": st.sampled_from(["plug", "move", "place", "fault", "heal", "status"]) | values},
    optional={
        "arm": st.sampled_from(["follower", "leader"]) | values,
        "what": st.sampled_from(["all", *JOINTS]) | values,
        "joint": st.sampled_from(JOINTS) | values,
        "kind": st.sampled_from([*BUS_FAULTS, *CAMERA_FAULTS]) | values,
        "script": st.sampled_from(["middle", "circle"]) | values,
        "path_rad": st.lists(st.lists(numbers, min_size=6, max_size=6), max_size=3) | values,
        "times_s": st.lists(numbers, max_size=3) | values,
        **dict.fromkeys(("to", "rad_s", "rate", "at_s", "for_s", "amount", "seed"), numbers),
        "free": values,
        "hold": values,
        "camera": values,
    },
)
lines = requests.map(lambda request: json.dumps(request).encode())


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Iterator[Twin]:
    made = Twin(tmp_path_factory.mktemp("twin"), make_scene("lift"), clock=StoodStill())
    yield made
    for station in made.stations.values():
        station.port.close()


@some
@given(line=lines | lines.flatmap(damaged) | st.binary(max_size=40))
def test_whatever_is_asked_is_answered_and_moves_nothing_to_nowhere(twin, line) -> None:
    told = json.loads(Control(twin.folder, Orders(twin).obey).reply(line))
    assert isinstance(told, dict)
    assert "cannot be carried out" not in told.get("error", "")
    for _ in range(2):
        twin.advance(0.02)
    for station in twin.stations.values():
        assert np.isfinite(station.body.angles).all()
    Orders(twin).obey({"do": "heal"})


DEEP = b'{"do":' * 100_000


@pytest.mark.parametrize("line", [DEEP, b"[" * 100_000, b"", b"3", b"\xff\xfe", b'{"do": ["x"]}'])
def test_a_request_that_is_none_is_refused_in_one_line(twin, line) -> None:
    told = json.loads(Control(twin.folder, Orders(twin).obey).reply(line))
    assert set(told) == {"error"}
    assert "\n" not in told["error"]


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "move", "script": "middle", "rad_s": 1e-12},
        {"do": "move", "joint": "gripper", "to": float("nan")},
        {"do": "move", "times_s": [0, 1], "path_rad": [[0] * 6, [float("inf")] * 6]},
        {"do": "place", "seed": -1},
        {"do": "place", "seed": 1.5},
        {"do": "fault", "kind": "lost", "at_s": float("nan")},
        {"do": "fault", "kind": "lost", "at_s": "soon"},
        {"do": "fault", "kind": "voltage", "amount": float("nan")},
        {"do": "fault", "kind": "lost", "rate": True},
        {"do": "fault", "kind": "lost", "at_s": 10**400},
    ],
)
def test_numbers_that_are_none_are_refused(twin, request_) -> None:
    with pytest.raises(UsageError):
        Orders(twin).obey(dict(request_))


def test_a_bug_in_what_obeys_does_not_end_the_thread_that_serves(tmp_path) -> None:
    def obey(request):
        raise ZeroDivisionError("a bug")

    with Control(tmp_path, obey):
        for _ in range(2):
            with pytest.raises(UsageError, match="ZeroDivisionError"):
                ask(tmp_path, {"do": "status"})


def _answering(folder: Path, reply: bytes) -> threading.Thread:
    """Something that listens where a twin would, and answers once."""
    there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (folder / SOCKET).unlink(missing_ok=True)
    there.bind(str(folder / SOCKET))
    there.listen()

    def serve() -> None:
        with there, there.accept()[0] as caller:
            caller.recv(1 << 16)
            caller.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "reply", [b"[1]\n", b"3\n", b"null\n", b"\xff\n", b"{", b"", b"[" * 60_000, b'{"error": [1]}\n']
)
def test_an_answer_that_is_none_is_one_line(tmp_path, reply) -> None:
    thread = _answering(tmp_path, reply)
    with pytest.raises(UsageError) as caught:
        ask(tmp_path, {"do": "status"})
    assert "\n" not in str(caught.value)
    thread.join()
