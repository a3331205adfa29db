"""Look at this computer: versions, graphics card, OpenGL, video, disk, hub; and what to do.

With --hardware at what is plugged in instead: serial ports, servos, calibration files, cameras,
USB; with --config at the arm and the cameras of a rig, which are opened and read for a moment.

Each line is fine, a warning, or broken. The exit code is 1 where something is broken. Nothing is
installed, changed or sent anywhere, no servo moves; a test file is written to the folder and
deleted.
"""

from __future__ import annotations

import dataclasses
import json as json_
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.machine.camera_checks import Pace, WantedCamera
    from vibrissa.machine.facts import Need, Trouble
    from vibrissa.machine.hardware import Hardware, WantedArm
    from vibrissa.machine.lines import Line
    from vibrissa.machine.servos import Servos
    from vibrissa.real.rig import CameraCfg, Rig

# Each is run in a process of its own.
PROBES = {
    "torch": "vibrissa.learn.devices",
    "drawing": "vibrissa.sim.speed",
    "video": "vibrissa.data.decoders",
}
# Weights of a recipe's network with this arm's channels and two cameras; a test builds them.
WEIGHTS_BYTES = {"act-state": 1_906_200, "act": 49_000_000, "act-full": 113_200_000}
ABOUT_WIDTH = 24  # a longer name stands in a line of its own
MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "broken": ("BROKEN", "red")}


@dataclass(frozen=True)
class Config:
    folder: Annotated[Path, tyro.conf.Positional] = Path()
    """Where datasets and runs are to go: this disk is looked at."""
    hardware: bool = False
    """Look at what is plugged in, rather than at the computer."""
    config: Path | None = None
    """The rig (YAML) whose arm and cameras are to be looked at; means --hardware."""
    calibrations: Path | None = None
    """A calibration file, or a folder of them, to be judged; means --hardware."""
    tree: Path | None = None
    """Judge this recorded USB tree (JSON) rather than this computer's; means --hardware."""
    save_tree: Path | None = None
    """Record this computer's USB tree into this file, to send it to somebody who can help."""
    json: bool = False
    """Print the lines as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.machine.checks import exit_code

    if cfg.folder.is_file():
        raise UsageError(f"{cfg.folder} is a file. Name the folder in which to work.")
    if not cfg.folder.is_dir():
        raise UsageError(f"there is no folder {cfg.folder}. Make it, or name the one above it.")
    if cfg.save_tree is not None:
        return save(cfg.save_tree)
    if not cfg.json:
        print("looking, which takes some seconds …", file=sys.stderr)
    lines = hardware(cfg) if asks_for_hardware(cfg) else computer(cfg)
    if cfg.json:
        told = {"exit_code": exit_code(lines), "lines": [line.to_dict() for line in lines]}
        print(json_.dumps(told, indent=1))
    else:
        show(lines)
    return exit_code(lines)


def asks_for_hardware(cfg: Config) -> bool:
    return cfg.hardware or any(p is not None for p in (cfg.config, cfg.calibrations, cfg.tree))


def computer(cfg: Config) -> list[Line]:
    from vibrissa.machine.checks import examine
    from vibrissa.machine.gather import gather

    return examine(gather(cfg.folder, PROBES, needs()))


def hardware(cfg: Config) -> list[Line]:
    """The lines about what is plugged in, and about a rig where one is named."""
    from vibrissa.machine.gather import system
    from vibrissa.machine.hardware import examine_hardware, examine_tree, look
    from vibrissa.machine.usb_tree import lay_out, load_tree

    if cfg.tree is not None:
        with tempfile.TemporaryDirectory(prefix="vibrissa-doctor-") as folder:
            lay_out(load_tree(cfg.tree), Path(folder))
            linux = dataclasses.replace(system(), name="Linux")  # only there a tree is recorded
            return examine_tree(look(linux, Path(folder)))
    rig, trouble = rig_of(cfg.config)
    facts = dataclasses.replace(look(system()), calibrations=calibrations(cfg))
    facts = with_cameras(facts) if rig is None else with_rig(facts, rig)
    return [*trouble, *examine_hardware(facts)]


def rig_of(config: Path | None) -> tuple[Rig | None, list[Line]]:
    """The rig of a file; a line instead where it cannot be read, so that the rest is still told."""
    from vibrissa.machine.lines import broken, ok
    from vibrissa.real.rig import load_rig

    if config is None:
        return None, []
    if not config.is_file():
        raise UsageError(f"there is no rig {config}. vibrissa setup writes one.")
    try:
        rig = load_rig(config)
    except UsageError as error:
        return None, [broken("rig", str(error), "put it right; vibrissa setup writes a good one")]
    return rig, [ok("rig", str(config))]


def with_rig(facts: Hardware, rig: Rig) -> Hardware:
    """What the rig names is looked at too."""
    from vibrissa.machine.hardware import look_arm

    arms = []
    for name, cfg in (("arm", rig.arm), ("leader", rig.leader)):
        if cfg is None or cfg.kind != "so101":
            continue
        file = cfg.calibration or calibration_folder(name) / f"{cfg.id}.json"
        text = file.read_text("utf-8", "replace") if file.is_file() else None
        arm = look_arm(name, cfg.port, facts.system)
        arms.append(dataclasses.replace(arm, file=str(file), text=text, servos=servos(arm)))
    cameras = tuple(map(wanted_camera, rig.cameras))
    return dataclasses.replace(
        facts, rig=True, arms=tuple(arms), cameras=cameras, paces=paces(rig.cameras)
    )


def with_cameras(facts: Hardware) -> Hardware:
    """Every webcam that has a name that lasts is read, as a rig would have it by default."""
    from vibrissa.machine.hardware import readable
    from vibrissa.real.rig import CameraCfg

    found = [CameraCfg(node.node, device=node.stable, optional=True) for node in readable(facts)]
    return dataclasses.replace(facts, cameras=tuple(map(wanted_camera, found)), paces=paces(found))


def wanted_camera(cfg: CameraCfg) -> WantedCamera:
    from vibrissa.machine.camera_checks import WantedCamera

    names = [one.name for one in dataclasses.fields(WantedCamera)]
    return WantedCamera(**{name: getattr(cfg, name) for name in names})


def servos(arm: WantedArm) -> Servos | Trouble | None:
    """What the servos behind a port say; None where the port is not one to open."""
    from vibrissa.core.errors import ArmFault
    from vibrissa.machine.facts import Trouble
    from vibrissa.machine.servos import ask_servos
    from vibrissa.real.bus import ServoBus

    if not arm.usable:
        return None
    bus = ServoBus(arm.given, arm.name, retries=1)
    try:
        bus.open()
        return ask_servos(bus.read)
    except ArmFault as fault:
        return Trouble(str(fault).removeprefix(f"{arm.name}: "))
    finally:
        bus.close()


def paces(cfgs: Sequence[CameraCfg]) -> dict[str, Pace | Trouble]:
    """What each camera gives while all of them are read, as a recording reads them."""
    from vibrissa.machine.camera_checks import Pace
    from vibrissa.machine.facts import Trouble
    from vibrissa.real.probe import probe

    found: dict[str, Pace | Trouble] = {}
    for one in probe(cfgs) if cfgs else []:
        cfg = one.cfg
        told = "" if one.health in ("ok", "late") else one.health  # its rate says what is late
        pace = Pace(one.fps, cfg.width, cfg.height, told, one.gaps)
        trouble = one.trouble.removeprefix(f"camera {cfg.name!r}: ")
        found[cfg.name] = Trouble(trouble) if trouble else pace
    return found


def calibration_folder(arm: str) -> Path:
    """Where LeRobot keeps the calibrations of followers, or of leaders."""
    from vibrissa.machine.gather import calibration_home

    kind = "teleoperators/so_leader" if arm == "leader" else "robots/so_follower"
    return calibration_home(os.environ, Path.home()) / kind


def save(file: Path) -> int:
    from vibrissa.machine.usb_tree import record_tree, save_tree

    tree = record_tree()
    save_tree(tree, file)
    print(f"{file}: {len(tree)} entries; serial numbers are among them. Judge it with --tree.")
    return 0


def calibrations(cfg: Config) -> dict[str, str]:
    """The calibration files that were named; without a rig, those that LeRobot keeps."""
    from vibrissa.machine.gather import calibration_home
    from vibrissa.machine.hardware import calibration_files

    if cfg.calibrations is None:
        home = calibration_home(os.environ, Path.home())
        return {} if cfg.config else calibration_files(home)
    if not cfg.calibrations.exists():
        raise UsageError(f"there is no {cfg.calibrations}. Name a calibration file or a folder.")
    return calibration_files(cfg.calibrations)


def needs() -> tuple[Need, ...]:
    """What a run of each recipe keeps on the disk."""
    from vibrissa.learn.recipes import recipe_named
    from vibrissa.machine.facts import Need

    return tuple(
        Need(name, *recipe_named(name).disk_need(weights))
        for name, weights in WEIGHTS_BYTES.items()
    )


def show(lines: Sequence[Line]) -> None:
    """A line a finding; what to do stands below it."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    width = min(ABOUT_WIDTH, max(len(line.about) for line in lines))
    for line in lines:
        mark, colour = MARKS[line.state]
        console.print(f"{mark:<8}", style=colour, end="")
        gap = f"\n{'':<{width + 10}}" if len(line.about) > width else "  "
        console.print(f"{line.about:<{width}}{gap}{line.told}", soft_wrap=True)
        if line.do:
            console.print(f"{'':<{width + 10}}→ {line.do}", soft_wrap=True)
    counts = {state: sum(line.state == state for line in lines) for state in MARKS}
    if counts["broken"]:
        console.print(f"{counts['broken']} broken, {counts['warning']} to look at", style="red")
    elif counts["warning"]:
        console.print(f"all works; {counts['warning']} to look at", style="yellow")
    else:
        console.print("all is well", style="green")
