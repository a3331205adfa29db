"""Facts in, lines out: every system, what is missing, what is slow; and the exit code."""

from __future__ import annotations

import dataclasses

import pytest
from machine.computers import GOOD, about, facts

from vibrissa.machine.checks import (
    check_drawing,
    check_hub,
    check_packages,
    check_processor,
    check_python,
    check_system,
    check_video,
    examine,
    exit_code,
)
from vibrissa.machine.facts import Cache, Facts, Package, System, Trouble
from vibrissa.machine.lines import size


def test_a_good_machine_has_nothing_to_do() -> None:
    lines = examine(GOOD)
    assert {line.state for line in lines} == {"ok"}
    assert not any(line.do for line in lines)
    assert exit_code(lines) == 0


def test_a_machine_of_which_nothing_is_known_is_lines_and_no_traceback() -> None:
    names = [f.name for f in dataclasses.fields(Facts) if "Trouble" in str(f.type)]
    assert len(names) == 7
    lines = examine(facts(**{name: Trouble(f"{name} is silent") for name in names}))
    for name in names:
        found = [line for line in lines if f"{name} is silent" in line.told]
        assert found, name
        assert all(line.state != "ok" and line.do for line in found)
    assert exit_code(lines) == 1


def test_warnings_are_no_failure() -> None:
    lines = examine(facts(disk={"free_bytes": 10**8}))
    assert "warning" in {line.state for line in lines}
    assert exit_code(lines) == 0


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (("Linux", "5.15.167.4-microsoft-standard-WSL2"), ("WSL 2", "not /mnt/c", "usbipd")),
        (("Linux", "4.4.0-19041-Microsoft"), ("WSL 1", "WSL 2")),
        (("Windows", "11"), ("Windows 11", "GLFW", "docs/platforms.md")),
        (("Darwin", "24.1.0"), ("Darwin", "--device mps", "docs/platforms.md")),
    ],
)
def test_every_system_is_told_what_does_not_work(system, words) -> None:
    name, release = system
    (line,) = check_system(facts(system=System(name, release, "x86_64", (3, 12, 1))))
    assert line.state == "warning"
    for word in words:
        assert word in f"{line.told} {line.do}"


def test_another_python_is_broken() -> None:
    (line,) = check_python(facts(system={"python": (3, 13, 0)}))
    assert line.state == "broken"
    assert "uv venv --python 3.12" in line.do


def test_packages_missing_unfit_or_other() -> None:
    found = (
        Package("av", None, "15.1.0", ">=15,<16"),
        Package("numpy", "2.4.0", "2.2.6", "<2.3,>=2.0", fits=False),
        Package("rich", "14.0.0", "15.0.0", ">=14"),
        Package("torch", "2.11.0+cu130", "2.11.0"),
        Package("triton", None, "3.6.0"),  # another system's: nobody asks for it here
    )
    missing, unfit, other = check_packages(facts(packages=found))
    assert (missing.state, missing.told) == ("broken", "missing: av>=15,<16")
    assert (unfit.state, unfit.told) == ("broken", "numpy 2.4.0 (wanted <2.3,>=2.0)")
    assert other.state == "warning"
    assert other.told == "other versions: rich 14.0.0 (known good 15.0.0)"
    assert check_packages(GOOD)[0].told == "2 installed, all as known to work together"


def test_software_beside_a_card_and_slow_drawing() -> None:
    software = {"software": True, "told": "Mesa EGL (software, llvmpipe)"}
    told = check_drawing(facts(drawing=software, nvidia=("NVIDIA H200 (driver 570.1)",)))[0]
    assert told.state == "warning"
    assert "H200" in told.do
    assert check_drawing(facts(drawing=software))[0].state == "ok"
    slow = check_drawing(facts(drawing={"frames_per_s": 3.2}))[0]
    assert (slow.state, "3 pictures/s" in slow.told) == ("warning", True)


def test_torchcodec_that_does_not_load_is_told_with_its_meaning() -> None:
    av, codec = check_video(facts(video={"torchcodec_error": "no FFmpeg that it knows"}))
    assert (av.state, codec.state) == ("ok", "warning")
    assert "nothing for Vibrissa" in codec.do
    assert "video_backend=pyav" in codec.do
    assert check_video(facts(video={"torchcodec": ""}))[1].state == "ok"


def test_more_threads_than_cores_and_spinning_ones() -> None:
    lines = check_processor(facts(processor={"cores": 64, "usable": 64, "quota": 2.0}))
    told = about(lines, "processor")
    assert told.state == "warning"
    assert "64 cores, 2 of them usable; torch would use 8 threads" in told.told
    assert "OMP_NUM_THREADS=2" in told.do
    spinning = check_processor(facts(processor={"variables": {"OMP_WAIT_POLICY": "ACTIVE"}}))
    assert about(spinning, "processor").state == "warning"
    small = check_processor(facts(processor={"free_bytes": 10**9}))
    assert about(small, "memory").state == "warning"


def test_the_hub_s_settings_are_told_and_going_online_is_warned_of() -> None:
    caches = (Cache("hub", "/c", 3 * 10**9), Cache("lerobot", "/l", 0))
    lines = check_hub(facts(hub={"caches": caches, "token": True}))
    assert about(lines, "hub").told == "HF_HUB_OFFLINE=1; a token is there"
    assert about(lines, "caches").told == "hub 3 GB in /c"
    online = check_hub(facts(hub={"variables": {}}))
    assert [line.state for line in online] == ["ok", "warning"]


def test_sizes_are_read_at_a_glance() -> None:
    sizes = (999, 1.5e6, 48_400_000, 1.94e12, 2.5e14)
    assert [size(n) for n in sizes] == ["1 kB", "1.5 MB", "48.4 MB", "1.94 TB", "250 TB"]
