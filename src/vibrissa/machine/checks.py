"""Facts in, lines out: what is fine, what will get in the way, what does not work, what to do.

Every check is a function of the facts alone. `CHECKS` is the list; `examine` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vibrissa.machine.disks import check_disk
from vibrissa.machine.facts import Facts, Package, Trouble
from vibrissa.machine.gpu import check_torch
from vibrissa.machine.lines import Line, broken, ok, size, warning

PYTHON = (3, 12)
SLOW_FRAMES_S = 20.0  # pictures a second below which recording with cameras is no fun
LITTLE_MEMORY_BYTES = 4e9
INSTALL_DO = "uv sync, or uv pip install --upgrade with the versions in pyproject.toml"
FFMPEG_DO = (
    "nothing for Vibrissa, which decodes with PyAV. LeRobot's own loader prefers torchcodec: "
    "give it video_backend=pyav, or install FFmpeg's shared libraries (apt-get install ffmpeg)"
)


def examine(facts: Facts) -> list[Line]:
    """Every check's lines, in the order in which one would read them."""
    return [line for check in CHECKS for line in check(facts)]


def exit_code(lines: Sequence[Line]) -> int:
    """1 where something is broken; a warning is none."""
    return int(any(line.state == "broken" for line in lines))


def is_wsl(facts: Facts) -> bool:
    """Windows Subsystem for Linux: its kernels carry Microsoft's name."""
    return facts.system.name == "Linux" and "microsoft" in facts.system.release.lower()


def check_system(facts: Facts) -> list[Line]:
    """Which system this is, and what is known of Vibrissa on it (docs/platforms.md)."""
    system = facts.system
    told = f"{system.name} {system.release}, {system.machine}"
    if is_wsl(facts):
        if "wsl2" not in system.release.lower():
            do = "convert it to WSL 2 (wsl --set-version): WSL 1 has neither GPU nor OpenGL"
            return [warning("system", f"WSL 1: {told}", do)]
        do = (
            "keep projects below ~, not /mnt/c; NVIDIA's driver belongs to Windows, not in here; "
            "for a real arm attach its USB port with usbipd"
        )
        return [warning("system", f"WSL 2: {told}", do)]
    if system.name == "Windows":
        do = (
            "not tested here; WSL 2 is the surer way. Pictures need a desktop session (GLFW); "
            "EGL and OSMesa do not exist; see docs/platforms.md"
        )
        return [warning("system", told, do)]
    if system.name == "Darwin":
        do = (
            "not tested here. Pictures need a desktop session (GLFW), there is no CUDA, training "
            "runs on the CPU or with --device mps; see docs/platforms.md"
        )
        return [warning("system", told, do)]
    return [ok("system", told)]


def check_python(facts: Facts) -> list[Line]:
    version = ".".join(map(str, facts.system.python))
    if facts.system.python[:2] != PYTHON:
        wanted = ".".join(map(str, PYTHON))
        do = f"use {wanted}: uv venv --python {wanted}, then uv sync"
        return [broken("python", f"{version}; Vibrissa is made for {wanted}", do)]
    return [ok("python", version)]


def check_packages(facts: Facts) -> list[Line]:
    """What is missing or too old, then what differs from the versions known to work together."""
    if isinstance(facts.packages, Trouble):
        return [warning("packages", facts.packages.why, INSTALL_DO)]
    missing = [p for p in facts.packages if p.needs and p.installed is None]
    unfit = [p for p in facts.packages if p.installed is not None and not p.fits]
    other = [p for p in facts.packages if _differs(p) and p not in unfit]
    lines = []
    if missing:
        told = ", ".join(p.name + p.needs for p in missing)
        lines.append(broken("packages", f"missing: {told}", INSTALL_DO))
    if unfit:
        told = ", ".join(f"{p.name} {p.installed} (wanted {p.needs})" for p in unfit)
        lines.append(broken("packages", told, INSTALL_DO))
    if other:
        told = ", ".join(f"{p.name} {p.installed} (known good {p.known_good})" for p in other[:6])
        more = f" and {len(other) - 6} more" if len(other) > 6 else ""
        lines.append(warning("packages", f"other versions: {told}{more}", INSTALL_DO))
    good = sum(p.installed is not None and not _differs(p) for p in facts.packages if p.known_good)
    return lines or [ok("packages", f"{good} installed, all as known to work together")]


def _differs(package: Package) -> bool:
    """Whether another version is installed than the known one; a build's tag (+cu130) is none."""
    installed = package.installed
    return bool(installed and package.known_good and installed.split("+")[0] != package.known_good)


def check_drawing(facts: Facts) -> list[Line]:
    """OpenGL: who draws, and how fast."""
    drawing = facts.drawing
    if isinstance(drawing, Trouble):
        do = "" if "MUJOCO_GL" in drawing.why else "MUJOCO_GL=egl vibrissa doctor says more"
        told = f"no pictures: {drawing.why}"
        return [warning("OpenGL", told, do or "until then: everything that needs no cameras")]
    told = f"{drawing.told}, {drawing.frames_per_s:.0f} pictures/s at {drawing.picture}"
    if drawing.software and facts.nvidia:
        do = (
            f"{facts.nvidia[0]} does not draw: install the driver's EGL (apt-get install "
            "libnvidia-gl-…, in a container NVIDIA_DRIVER_CAPABILITIES=all)"
        )
        return [warning("OpenGL", told, do)]
    if drawing.frames_per_s < SLOW_FRAMES_S:
        return [warning("OpenGL", told, "slow: smaller pictures (--camera-size), fewer cameras")]
    return [ok("OpenGL", told)]


def check_video(facts: Facts) -> list[Line]:
    """PyAV, with which everything is written and read; torchcodec, which others prefer."""
    video = facts.video
    if isinstance(video, Trouble):
        do = "install it again: uv pip install --force-reinstall av"
        return [broken("video", f"no film can be written and read again: {video.why}", do)]
    lines = [ok("video", f"PyAV {video.pyav} wrote a film and read it again")]
    if not video.torchcodec:
        return [*lines, ok("torchcodec", "not installed, and not needed")]
    if video.torchcodec_error:
        told = f"{video.torchcodec} does not load: {video.torchcodec_error}"
        return [*lines, warning("torchcodec", told, FFMPEG_DO)]
    return [*lines, ok("torchcodec", f"{video.torchcodec} loads; Vibrissa does not need it")]


def check_hub(facts: Facts) -> list[Line]:
    """Where Hugging Face's libraries keep things, and whether they may go online."""
    hub = facts.hub
    if isinstance(hub, Trouble):
        return [warning("hub", hub.why, "see HF_HOME")]
    offline = hub.variables.get("HF_HUB_OFFLINE", "") not in ("", "0")
    told = ", ".join(f"{name}={value}" for name, value in sorted(hub.variables.items()))
    token = "a token is there" if hub.token else "no token"
    lines = [ok("hub", f"{told or 'nothing is set'}; {token}")]
    if not offline:
        do = "nothing, if so meant; HF_HUB_OFFLINE=1 keeps LeRobot from asking the hub"
        lines.append(warning("hub", "libraries may go online", do))
    caches = [c for c in hub.caches if c.bytes]
    if caches:
        told = ", ".join(
            f"{c.name} {'' if c.whole else 'over '}{size(c.bytes)} in {c.folder}" for c in caches
        )
        lines.append(ok("caches", told))
    return lines


def check_processor(facts: Facts) -> list[Line]:
    """Cores, threads and memory, as much as this process may use of them."""
    cpu = facts.processor
    if isinstance(cpu, Trouble):
        return [warning("processor", cpu.why, "see nproc")]
    may = min(cpu.usable, cpu.quota) if cpu.quota else cpu.usable
    told = f"{cpu.cores} cores" + (f", {may:g} of them usable" if may < cpu.cores else "")
    lines = []
    threads = _threads(facts)
    if threads > max(1, may):
        do = f"OMP_NUM_THREADS={max(1, int(may))}: more threads than cores wait for each other"
        lines.append(warning("processor", f"{told}; torch would use {threads} threads", do))
    if cpu.variables.get("OMP_WAIT_POLICY", "passive").lower() == "active":
        do = "unset it, or OMP_WAIT_POLICY=passive: threads that spin make training slower"
        lines.append(warning("processor", "OMP_WAIT_POLICY=active", do))
    return [*(lines or [ok("processor", f"{told}, {threads} threads")]), *_memory(facts)]


def _threads(facts: Facts) -> int:
    return 1 if isinstance(facts.torch, Trouble) else facts.torch.threads


def _memory(facts: Facts) -> list[Line]:
    cpu = facts.processor
    if isinstance(cpu, Trouble) or not cpu.memory_bytes:
        return []
    told = f"{size(cpu.memory_bytes)}"
    told += f", {size(cpu.free_bytes)} free" if cpu.free_bytes else ""
    if (cpu.free_bytes or cpu.memory_bytes) < LITTLE_MEMORY_BYTES:
        return [warning("memory", told, "close what you can; training wants 4 GB")]
    return [ok("memory", told)]


CHECKS: tuple[Callable[[Facts], list[Line]], ...] = (
    check_system,
    check_python,
    check_packages,
    check_processor,
    check_torch,
    check_drawing,
    check_video,
    check_disk,
    check_hub,
)
