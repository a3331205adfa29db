"""Serial ports: lasting names, who may open them, who has them open, and every system's own way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from machine.trees import CH343, ROOT_2, desk, device

from vibrissa.machine.facts import System, Trouble
from vibrissa.machine.hardware import look_arm
from vibrissa.machine.port_checks import check_arm_port, check_ports
from vibrissa.machine.ports import Holder, Port, linux_ports, meddlers
from vibrissa.machine.usb import UsbDevice, read_usb
from vibrissa.machine.usb_tree import lay_out

LINUX = System("Linux", "6.8.0-45-generic", "x86_64", (3, 12, 3))
WSL = System("Linux", "5.15.167.4-microsoft-standard-WSL2", "x86_64", (3, 12, 3))
MAC = System("Darwin", "24.1.0", "arm64", (3, 12, 3))
WINDOWS = System("Windows", "11", "AMD64", (3, 12, 3))
BY_ID = "/dev/serial/by-id/usb-1a86_USB_Single_Serial_5A46-if00"
ARM = Port("/dev/ttyACM0", by_id=BY_ID, group="dialout")


OPENS = """
import os, sys
os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
print(flush=True)
sys.stdin.read()
"""


def process(root: Path, pid: int, name: str, *opened: str) -> None:
    folder = root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n", encoding="ascii")
    for number, path in enumerate(opened):
        (folder / "fd" / str(number)).symlink_to(path)


def usb_of(tree: dict[str, str], folder: Path) -> tuple[UsbDevice, ...]:
    lay_out(tree, folder)
    found = read_usb(folder / "sys")
    assert not isinstance(found, Trouble)
    return found


def test_ports_have_names_that_last_and_holders(tmp_path: Path) -> None:
    lay_out(desk(), tmp_path)
    process(tmp_path, 812, "python3", "/dev/null", "/dev/ttyACM1", "/dev/ttyACM1")
    process(tmp_path, 90, "ModemManager")
    one, two = linux_ports(tmp_path)
    assert (one.path, one.by_id, one.holders) == ("/dev/ttyACM0", BY_ID, ())
    assert two.holders == (Holder(812, "python3"),)
    assert meddlers(tmp_path) == ("ModemManager",)


def test_a_line_for_each_port(tmp_path: Path) -> None:
    usb = usb_of(desk(), tmp_path)
    lines = check_ports(linux_ports(tmp_path), usb, LINUX)
    assert [line.state for line in lines] == ["ok", "ok"]
    assert BY_ID in lines[0].told
    assert "USB Single Serial" in lines[0].told


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (LINUX, "dmesg"),
        (WSL, "usbipd attach --wsl"),
        (MAC, "/dev/cu.usbmodem"),
        (WINDOWS, "CH343 driver"),
    ],
)
def test_no_port_at_all(system, words) -> None:
    (line,) = check_ports((), (), system)
    assert line.state == "warning"
    assert words in line.do


@pytest.mark.parametrize(("group", "words"), [("dialout", "usermod -aG dialout"), ("root", "udev")])
def test_a_port_that_this_user_may_not_open(group, words) -> None:
    port = Port("/dev/ttyACM0", group=group, may_open=False)
    (line,) = check_ports((port,), (), LINUX)
    assert line.state == "warning"
    assert words in line.do
    (line,) = check_arm_port("arm", port.path, port, ())
    assert line.state == "broken"


@pytest.mark.parametrize(("driver", "words"), [("usbfs", "brltty"), ("", "modprobe")])
def test_an_adapter_of_which_no_port_was_made(driver, words, tmp_path: Path) -> None:
    adapter = device("1-1", CH343, driver=driver)
    usb = usb_of({**device("usb1", ROOT_2), **adapter}, tmp_path)
    (line,) = check_ports((), usb, LINUX)
    assert line.state == "broken"
    assert words in line.do


def test_programs_that_meddle(tmp_path: Path) -> None:
    usb = usb_of(desk(), tmp_path)
    _, modem, brltty = check_ports((ARM,), usb, LINUX, ("ModemManager", "brltty"))
    assert 'idVendor}=="1a86"' in modem.do
    assert "ID_MM_DEVICE_IGNORE" in modem.do
    assert "brltty" in brltty.told


def test_two_adapters_without_serial_numbers() -> None:
    one = Port("/dev/ttyUSB0", by_path="/dev/serial/by-path/pci-1")
    two = Port("/dev/ttyUSB1", by_id="/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0")
    lines = check_ports((one, two), (), LINUX)
    assert lines[-1].state == "warning"
    assert "/dev/serial/by-path/pci-1" in lines[-1].do


def test_the_ports_of_a_rig() -> None:
    (line,) = check_arm_port("arm", BY_ID, ARM, ())
    assert line.state == "ok"
    (line,) = check_arm_port("arm", "/dev/ttyACM0", ARM, ())
    assert (line.state, BY_ID in line.do) == ("warning", True)
    held = Port("/dev/ttyACM0", by_id=BY_ID, holders=(Holder(7, "python3"),))
    (line,) = check_arm_port("arm", BY_ID, held, ())
    assert line.state == "broken"
    assert "python3 (process 7)" in line.told
    (line,) = check_arm_port("arm", BY_ID, held, (7,))
    assert line.state == "ok"


@pytest.mark.parametrize(("name", "words"), [("nosuch", "does not exist"), (".", "is a folder")])
def test_what_is_no_port(name, words, tmp_path: Path) -> None:
    arm = look_arm("arm", str(tmp_path / name), LINUX)
    assert isinstance(arm.port, Trouble)
    assert words in arm.port.why
    assert not arm.usable


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has no /dev/null elsewhere")
def test_a_device_is_not_always_a_port() -> None:
    arm = look_arm("arm", "/dev/null", LINUX)
    assert arm.port == Trouble("is a device, but not a serial port")


def test_a_crowd_is_not_listed() -> None:
    crowd = Port("/dev/ttyACM0", holders=tuple(Holder(pid, "bash") for pid in range(1, 9)))
    (line,) = check_arm_port("arm", "/dev/ttyACM0", crowd, ())
    assert "bash (process 3) and 5 more" in line.told


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    arm = look_arm("arm", str(tmp_path / "file"), LINUX)
    assert isinstance(arm.port, Trouble)
    assert "is a file" in arm.port.why


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_pseudo_terminal_is_served_by_one_and_held_by_another(tmp_path: Path) -> None:
    """Behind a link, as an emulated arm has it; who serves it disturbs nobody, others do."""
    master, slave = os.openpty()
    link = tmp_path / "follower"
    link.symlink_to(os.ttyname(slave))
    try:
        arm = look_arm("arm", str(link), LINUX)
        assert arm.makers == (os.getpid(),)
        assert arm.usable
        other = subprocess.Popen(
            [sys.executable, "-c", OPENS, str(link)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        held = look_arm("arm", str(link), LINUX)
        assert isinstance(held.port, Port)
        assert other.pid in [holder.pid for holder in held.port.holders]
        assert not held.usable
        other.stdin.close()
        other.wait()
        other.stdout.close()
    finally:
        os.close(master)
        os.close(slave)
