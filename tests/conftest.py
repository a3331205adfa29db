"""Fixtures shared by all tests: real data where it exists, OpenGL where it works."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, program

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as `cli.main` does, before torch is loaded


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Signals as a program has them that was started in a terminal, before and after each test.

    One that a script starts in the background ignores Ctrl-C, one under nohup a closed terminal.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if hasattr(signal, "SIGHUP"):  # not on Windows
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_helpers_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands begin no helpers ahead: most tests are over before one has loaded, and what a test
    changes in this process no helper would know.
    """
    monkeypatch.setattr("vibrissa.bench.workers.prepare", lambda *_: None)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """A folder of datasets recorded by other people; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "realdata"
    folder = Path(os.environ.get("VIBRISSA_REALDATA", beside))
    if not folder.is_dir():
        pytest.skip("no real datasets: set VIBRISSA_REALDATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def opengl() -> None:
    """Skips the test where no OpenGL context can be made."""
    from vibrissa.sim import gl

    trouble = gl.trouble()
    if trouble:
        pytest.skip(trouble)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One headless Chromium for all tests; skips the test where none is installed."""
    browser = Browser(program(), tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
