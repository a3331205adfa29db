"""After a fault: the arm holds, one line says why, and somebody at the keys decides."""

from __future__ import annotations

import time
from collections.abc import Callable

from vibrissa.control.keys import Keys, NoKeys
from vibrissa.core.errors import ArmFault

POLL_S = 0.05


class Mending:
    """Offers to connect again. `faults` is what has gone wrong so far, a line each."""

    def __init__(
        self,
        keys: Keys,
        reconnect: Callable[[], None] | None,
        tell: Callable[[str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._keys, self._reconnect, self._tell = keys, reconnect, tell
        self._sleep = sleep
        self.faults: list[str] = []

    def go_on(self, fault: ArmFault) -> bool:
        """Whether somebody wants to go on and the arm is there again; False: somebody said stop.

        Raises `fault` where nobody is at the keys, or nothing can be connected again.
        """
        told = str(fault)
        while True:
            self.faults.append(told)
            self._tell(f"fault: {told} The arm holds; every finished episode is kept.")
            if self._reconnect is None or isinstance(self._keys, NoKeys):
                raise fault
            self._tell("→ connect again and go on, Esc stop")
            if not self._wait_for_right():
                return False
            try:
                self._reconnect()
                return True
            except ArmFault as again:
                told = str(again)

    def _wait_for_right(self) -> bool:
        while True:
            key = self._keys.poll()
            if key in ("right", "esc"):
                return key == "right"
            self._sleep(POLL_S)
