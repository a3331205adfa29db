"""Looking at the machine that runs the tests, at folders made up, and at probes that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vibrissa.machine import gather, memory, packages
from vibrissa.machine.facts import Trouble
from vibrissa.machine.probe import probe
from vibrissa.machine.storage import cache

SECRET = "hf_not_to_be_told"
PROBES = {
    "fine": "import json; print('noise'); print(json.dumps({'a': 1}))",
    "raises": "raise RuntimeError('no such card')",
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "babbles": "print('no JSON')",
    "lists": "print([1])",
    "sleeps": "import time; time.sleep(60)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_whatever_a_probe_does_it_is_one_line(tmp_path: Path, monkeypatch) -> None:
    for name, code in PROBES.items():
        (tmp_path / f"probe_{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probe("probe_fine") == {"a": 1}
    assert probe("probe_raises") == Trouble("RuntimeError: no such card")
    assert probe("probe_crashes") == Trouble("it crashed (signal 11)")
    assert probe("probe_babbles") == probe("probe_lists") == Trouble("its answer could not be read")
    assert probe("probe_sleeps", patience_s=0.5) == Trouble("no answer within 0.5 s")


def test_a_token_is_seen_and_never_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "blob").write_bytes(bytes(1000))
    by_file = gather.hub({"HF_HOME": str(tmp_path)}, tmp_path)
    by_variable = gather.hub({"HF_TOKEN": SECRET}, tmp_path / "nobody")
    none = gather.hub({}, tmp_path / "nobody")
    assert [hub.token for hub in (by_file, by_variable, none)] == [True, True, False]
    assert SECRET not in f"{by_file}{by_variable}"
    assert [(c.name, c.bytes) for c in by_file.caches] == [("hub", 1000), ("lerobot", 0)]


def test_what_a_container_may_have(tmp_path: Path) -> None:
    cpu, most, meminfo = tmp_path / "cpu.max", tmp_path / "memory.max", tmp_path / "meminfo"
    for text, cores in (("max 100000\n", 0.0), ("250000 100000\n", 2.5), ("odd", 0.0)):
        cpu.write_text(text)
        assert gather.quota(cpu) == cores
    meminfo.write_text("MemTotal:  1000 kB\nMemFree: 5 kB\nMemAvailable:  600 kB\n")
    most.write_text("max\n")
    assert memory.look(meminfo, most) == (1_024_000, 614_400)
    most.write_text("700000\n")
    assert memory.look(meminfo, most) == (700_000, 614_400)


def test_a_cache_too_large_to_count_says_so(tmp_path: Path, monkeypatch) -> None:
    for i in range(4):
        (tmp_path / str(i)).write_bytes(bytes(10))
    assert cache("hub", tmp_path).bytes == 40
    monkeypatch.setattr("vibrissa.machine.storage.MOST_FILES", 3)
    assert not cache("hub", tmp_path).whole


def test_packages_here_are_known_and_fit() -> None:
    found = {package.name: package for package in packages.installed()}
    lerobot = found["lerobot"]
    assert (lerobot.installed, lerobot.known_good, lerobot.needs) == ("0.6.1", "0.6.1", "==0.6.1")
    assert found["av"].fits
    assert found["jinja2"].needs.startswith(">=")


def test_nvidia_s_own_tool_is_read(tmp_path: Path, monkeypatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.86.15'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gather.nvidia() == ("NVIDIA H200 (driver 570.86.15)",)
    tool.write_text("#!/bin/sh\necho 'Driver/library version mismatch'\nexit 18\n")
    assert gather.nvidia() == ()
