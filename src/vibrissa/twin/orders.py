"""What one can ask of a running twin: plug, move, break, mend, and tell how it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS, from_rad
from vibrissa.twin import hand
from vibrissa.twin.calibration import ARMS, calibrated, write_calibration
from vibrissa.twin.camera_faults import CAMERA_FAULTS, CameraFault
from vibrissa.twin.faults import BUS_FAULTS, BusFault
from vibrissa.twin.station import Station

if TYPE_CHECKING:
    from vibrissa.twin.twin import Twin

MOST_TENTHS_V = 140  # what a servo bears by itself
Request = dict[str, Any]
Reply = Mapping[str, Any]


class Orders:
    """Carries out requests to one twin. `obey` raises UsageError for what makes no sense."""

    def __init__(self, twin: Twin):
        self._twin = twin
        self._words: dict[str, Callable[[Request], Reply]] = {
            "plug": self._plug,
            "move": self._move,
            "place": self._place,
            "fault": self._fault,
            "heal": self._heal,
            "set": self._set,
            "status": self._status,
        }

    def obey(self, request: Request) -> Reply:
        word = request.pop("do", "")
        if not isinstance(word, str) or word not in self._words:
            raise UsageError(f"no request {word!r}. There is: {', '.join(self._words)}.")
        try:
            return self._words[word](request)
        except (TypeError, KeyError) as error:
            raise UsageError(f"{word} does not understand {error}.") from error
        except (ValueError, ArithmeticError, AttributeError) as error:
            raise UsageError(f"{word} cannot do that: {error}.") from error

    def _plug(self, request: Request) -> Reply:
        """`what`: a joint alone on the wire, all, or none."""
        station, what = self._station(request), request["what"]
        if what not in ("all", "none", *JOINTS):
            raise UsageError(
                f"no servo {what!r} to plug. There is: all, none, {', '.join(JOINTS)}."
            )
        with station.lock:
            for servo in station.bus.servos:
                servo.plug(what in ("all", servo.joint))
        return {"plugged": what}

    def _move(self, request: Request) -> Reply:
        """By `script`, by `joint` and `to`, along `times_s` and `path_rad`, or let go: `free`."""
        station = self._station(request)
        body = station.body
        with station.lock:
            if request.get("free"):
                body.hand = None
                return {"seconds": 0.0}
            start, speed = body.angles, hand.speed(request.get("rad_s"))
            if "path_rad" in request:
                motion = hand.along(start, request["times_s"], np.array(request["path_rad"]))
            elif request.get("script"):
                motion = hand.scripted(request["script"], start, speed)
            else:
                there = hand.alone(request["joint"], float(request["to"]))
                motion = hand.through(start, [there], rad_s=speed)
            holds = bool(request.get("hold"))
            body.hand = dataclasses.replace(motion, start_s=body.time_s, holds=holds)
        return {"seconds": None if motion.loop_s is not None else motion.length_s}

    def _place(self, request: Request) -> Reply:
        """The things of the scene, anew, by `seed`."""
        with self._twin.stations["follower"].lock:
            self._twin.follower.place(_seed(request["seed"]))
            return {"things": self._twin.follower.where()}

    def _fault(self, request: Request) -> Reply:
        kind = request["kind"]
        given = {key: value for key, value in request.items() if value is not None}
        if kind in CAMERA_FAULTS and (kind not in BUS_FAULTS or "camera" in given):
            if self._twin.cameras is None:
                raise UsageError("this twin has no cameras. Start it with --cameras.")
            given.pop("arm", None)
            self._twin.cameras.fault(CameraFault(**given))
        elif kind in BUS_FAULTS:
            station = self._station(given)
            given.pop("arm", None)
            station.fault(BusFault(**given))
        else:
            known = ", ".join(dict.fromkeys([*BUS_FAULTS, *CAMERA_FAULTS]))
            raise UsageError(f"no fault {kind!r}. There is: {known}.")
        return {"fault": kind}

    def _heal(self, request: Request) -> Reply:
        """Everything that was broken on purpose is well again."""
        for station in self._twin.stations.values():
            station.heal(request.get("kind") or "")
        if self._twin.cameras is not None and not request.get("kind"):
            self._twin.cameras.heal()
        return {"healed": request.get("kind") or "all"}

    def _set(self, request: Request) -> Reply:
        """`registers`: joint → register → value, as a setup would have left them; without, those
        of a new twin. The arm's calibration file follows."""
        arm = request.get("arm") or "follower"
        station, given = self._station(request), request.get("registers")
        servos = self._twin.servos[arm]
        with station.lock:
            for servo in servos:
                fresh = {"Max_Voltage_Limit": MOST_TENTHS_V, **calibrated(arm)[servo.joint]}
                for name, value in (fresh if given is None else given.get(servo.joint, {})).items():
                    servo.memory[name] = servo.memory.flash[name] = int(value)
                servo.changed()
            write_calibration(self._twin.folder, arm, servos)
        return {"set": arm}

    def _status(self, request: Request) -> Reply:
        arms = {arm: _state_of(station) for arm, station in self._twin.stations.items()}
        cameras = {} if self._twin.cameras is None else self._twin.cameras.addresses
        things = self._twin.follower.where()
        folder = str(self._twin.folder)
        return {"folder": folder, "arms": arms, "cameras": cameras, "things": things}

    def _station(self, request: Request) -> Station:
        arm = request.get("arm") or "follower"
        if arm not in ARMS:
            raise UsageError(f"no arm {arm!r}. There is: {', '.join(ARMS)}.")
        return self._twin.stations[arm]


def _seed(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise UsageError(f"a seed of {value!r}: wanted is a whole number from 0 on.")
    return value


def _state_of(station: Station) -> Reply:
    with station.lock:
        body = station.body
        degrees = from_rad(body.angles, "deg").tolist()
        servos = {
            servo.joint: {
                "id": servo.memory["ID"],
                "reads": round(degrees[i], 1),
                "ticks": round(servo.ticks(float(body.angles[i]))),
                "goal": servo.memory["Goal_Position"],
                "torque": bool(servo.memory["Torque_Enable"]),
                "plugged": servo.plugged,
                "status": servo.status,
                "celsius": round(servo.heat_c, 1),
                "volts": round(servo.volts, 2),
            }
            for i, servo in enumerate(body.servos)
        }
        held = body.hand is not None and not body.hand.over(body.time_s)
        faults = [dataclasses.asdict(fault) for fault in station.faults.all]
        for fault in faults:
            fault["for_s"] = None if fault["for_s"] == float("inf") else fault["for_s"]
        return {"port": str(station.port.link), "held": held, "faults": faults, "servos": servos}
