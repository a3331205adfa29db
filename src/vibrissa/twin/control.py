"""The socket in a twin's folder, by which one plugs, moves and breaks what it serves.

A request is one line of JSON, `{"do": word, …}`; so is the reply, `{"error": …}` where it was
refused. One request a connection. Either side takes whatever bytes come: a request that makes no
sense is refused, a reply that makes none is a UsageError, and the twin serves on.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vibrissa.core.errors import UsageError, VibrissaError

SOCKET = "control.sock"
ANSWER_S = 20.0
MOST_BYTES = 64 << 20
Obey = Callable[[dict[str, Any]], Mapping[str, Any]]


class Control:
    """Listens in `folder` while it is entered; `obey` is called in its thread."""

    def __init__(self, folder: Path, obey: Obey):
        self._path, self._obey = folder / SOCKET, obey
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._listen, name="twin-control", daemon=True)

    def __enter__(self) -> Control:
        self._path.unlink(missing_ok=True)  # of one that was killed
        try:
            self._socket.bind(str(self._path))
        except OSError as error:
            raise UsageError(
                f"no socket at {self._path}: {error}. Choose a shorter --dir."
            ) from error
        self._socket.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return  # closed
            with caller:
                caller.settimeout(ANSWER_S)
                try:
                    caller.sendall(self.reply(_line(caller)) + b"\n")
                except OSError:
                    continue  # the caller has gone

    def reply(self, line: bytes) -> bytes:
        """What is answered to the bytes of a request; it raises nothing."""
        try:
            return json.dumps(self._obey(_parsed(line, "a request"))).encode()
        except VibrissaError as error:
            told = str(error)
        except Exception as bug:  # a request is foreign: it must not end the thread that serves
            told = f"this request cannot be carried out: {type(bug).__name__}: {bug}"
        return json.dumps({"error": told}).encode()


def ask(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What the twin in `folder` replies. Raises UsageError where it refuses or is not there."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
            there.settimeout(ANSWER_S)
            there.connect(str(folder / SOCKET))
            there.sendall(json.dumps(request).encode() + b"\n")
            line = _line(there)
    except OSError as error:
        raise UsageError(
            f"no twin is running in {folder} ({error}). Start one: vibrissa twin --dir {folder}"
        ) from error
    reply = _parsed(line, f"the answer of what listens in {folder}")
    if "error" in reply:
        raise UsageError(str(reply["error"]))
    return reply


def _parsed(line: bytes, what: str) -> dict[str, Any]:
    """The object in a line of JSON. Raises UsageError for any other bytes."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not valid JSON.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{what} must be an object, not a {type(found).__name__}.")
    return found


def _line(there: socket.socket) -> bytes:
    got = bytearray()
    while not got.endswith(b"\n"):
        more = there.recv(1 << 16)
        if not more or len(got) > MOST_BYTES:
            break
        got += more
    return bytes(got)
