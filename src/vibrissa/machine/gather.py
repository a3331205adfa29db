"""Looks at this computer and fills in `Facts`. It judges nothing; `checks` does."""

from __future__ import annotations

import contextlib
import csv
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vibrissa.machine import memory, packages, storage
from vibrissa.machine.facts import (
    Drawing,
    Facts,
    Gpu,
    Hub,
    Need,
    Processor,
    System,
    Torch,
    Trouble,
    Video,
)
from vibrissa.machine.probe import probe

HUB_VARIABLES = ("HF_HOME", "HF_LEROBOT_HOME", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_ENDPOINT")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS")
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
NVIDIA_S = 15.0
PROC_MOUNTS = Path("/proc/mounts")
CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


def gather(folder: Path, probes: Mapping[str, str], needs: tuple[Need, ...] = ()) -> Facts:
    """All facts; `probes` names the modules that find out about torch, drawing and video.

    The probes run side by side, each in a process of its own, while the rest is looked at.
    """
    with ThreadPoolExecutor(len(probes)) as pool:
        asked = {name: pool.submit(probe, module) for name, module in probes.items()}
        facts = _without_probes(folder, needs)
        told = {name: answer.result() for name, answer in asked.items()}
    return Facts(
        **facts,
        torch=_torch(told["torch"]),
        drawing=_answer(Drawing, told["drawing"]),
        video=_answer(Video, told["video"]),
    )


def _without_probes(folder: Path, needs: tuple[Need, ...]) -> dict[str, Any]:
    return {
        "system": system(),
        "packages": _tried(packages.installed),
        "disk": _tried(lambda: storage.disk(folder, PROC_MOUNTS)),
        "hub": _tried(lambda: hub(os.environ, Path.home())),
        "processor": _tried(lambda: processor(os.environ)),
        "needs": needs,
        "nvidia": nvidia(),
    }


def system() -> System:
    major, minor, patch = sys.version_info[:3]
    release = platform.release()
    return System(platform.system(), release, platform.machine(), (major, minor, patch))


def hub(environ: Mapping[str, str], home: Path) -> Hub:
    """Settings and caches of Hugging Face's libraries. A token is looked for, never read."""
    root, lerobot = _hub_folders(environ, home)
    token_file = Path(environ.get("HF_TOKEN_PATH") or root / "token")
    models = Path(environ.get("HF_HUB_CACHE") or root / "hub")
    return Hub(
        variables={name: environ[name] for name in HUB_VARIABLES if environ.get(name)},
        token=any(environ.get(name) for name in TOKEN_VARIABLES) or token_file.is_file(),
        caches=(storage.cache("hub", models), storage.cache("lerobot", lerobot)),
    )


def calibration_home(environ: Mapping[str, str], home: Path) -> Path:
    """Where LeRobot keeps the calibrations of arms (`lerobot/utils/constants.py`)."""
    default = _hub_folders(environ, home)[1] / "calibration"
    return Path(environ.get("HF_LEROBOT_CALIBRATION") or default).expanduser()


def _hub_folders(environ: Mapping[str, str], home: Path) -> tuple[Path, Path]:
    """Hugging Face's own folder and LeRobot's."""
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    root = Path(environ.get("HF_HOME") or cache / "huggingface")
    return root, Path(environ.get("HF_LEROBOT_HOME") or root / "lerobot")


def processor(environ: Mapping[str, str]) -> Processor:
    total, free = memory.look()
    cores = os.cpu_count() or 1
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return Processor(
        cores=cores,
        usable=may,
        quota=quota(CGROUP_CPU),
        memory_bytes=total,
        free_bytes=free,
        variables={name: environ[name] for name in THREAD_VARIABLES if environ.get(name)},
    )


def quota(file: Path) -> float:
    """The cores that a container may use, from cgroup v2's cpu.max; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        share, period = file.read_text(encoding="ascii").split()
        return 0.0 if share == "max" else int(share) / int(period)
    return 0.0


def nvidia() -> tuple[str, ...]:
    """NVIDIA's cards and drivers by its own tool, which knows them whatever torch thinks."""
    if shutil.which(NVIDIA_SMI[0]) is None:
        return ()
    try:
        done = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=NVIDIA_S)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if done.returncode:
        return ()
    rows = csv.reader(done.stdout.splitlines(), skipinitialspace=True)
    return tuple(f"{row[0]} (driver {row[1]})" for row in rows if len(row) == 2)


def _tried[T](look: Callable[[], T]) -> T | Trouble:
    """What looking gives; where the system refuses, why."""
    try:
        return look()
    except (OSError, ValueError) as error:
        return Trouble(str(error))


def _answer[T](kind: type[T], told: Mapping[str, Any] | Trouble) -> T | Trouble:
    return told if isinstance(told, Trouble) else kind(**told)


def _torch(told: Mapping[str, Any] | Trouble) -> Torch | Trouble:
    if isinstance(told, Trouble):
        return told
    gpus = tuple(Gpu(g["name"], tuple(g["capability"]), g["memory_bytes"]) for g in told["gpus"])
    return Torch(**{**told, "architectures": tuple(told["architectures"]), "gpus": gpus})
