"""A page as a browser lays it out: headless Chromium, spoken to over a pipe.

Chromium's DevTools protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
KEPT_IN = "VIBRISSA_SCREENSHOTS"  # a folder where screenshots are kept beyond the tests
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
)
PATIENCE_S = 60.0
SMALLEST_TEXT_PX = 9.0

# What the page looks like once it is laid out. Whatever lies in a box that scrolls by itself may
# be wider than the screen; nothing else may.
MEASURE = """(() => {
  const wide = innerWidth, text = new Set(), beyond = [];
  for (const one of document.body.querySelectorAll("*")) {
    const box = one.getBoundingClientRect();
    if (box.width && (box.right > wide + 1 || box.left < -1) && !one.closest(".scroll"))
      beyond.push([one.tagName, one.getAttribute("class"), Math.round(box.right)].join(" "));
  }
  let smallest = 99;
  for (const one of document.querySelectorAll("svg text")) {
    const svg = one.closest("svg");
    const scale = svg.getBoundingClientRect().width / (svg.viewBox.baseVal.width || 1);
    smallest = Math.min(smallest, parseFloat(getComputedStyle(one).fontSize) * scale);
  }
  const parts = {};
  for (const one of document.querySelectorAll("[id]")) {
    const box = one.getBoundingClientRect();
    parts[one.id] = [Math.round(box.width), Math.round(box.height)];
  }
  return JSON.stringify({
    width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
    inner: wide, beyond, parts, smallest, headline: document.querySelector("h1").innerText,
    text: document.body.innerText,
    fetched: performance.getEntriesByType("resource").map(e => e.name)
      .filter(name => !name.startsWith("data:")),
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).length,
  });
})()"""


@dataclass(frozen=True)
class Look:
    """One look at a page: what `MEASURE` found, and a PNG of the whole of it."""

    measured: dict[str, Any]
    png: bytes


class Browser:
    """One browser for many pages. Scripts of a page do not run: it must read without."""

    def __init__(self, program: str, folder: Path):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self._in, self._out, self._heard, self._calls = ours_in, ours_out, b"", 0
        words = [program, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder}"]
        # The pipe has to be at 3 and 4, whatever numbers it has here.
        plug = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", plug, "bash", *words],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")
        self._call("Emulation.setScriptExecutionDisabled", value=True)

    def look(self, page: Path, size: tuple[int, int], *, dark: bool = False) -> Look:
        """Lay out `page` in a window of `size` (width, height) px."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=page.resolve().as_uri())
        self._hear(lambda told: told.get("method") == "Page.loadEventFired")
        found = self._call("Runtime.evaluate", expression=MEASURE)
        measured = json.loads(found["result"]["value"])
        whole = {"x": 0, "y": 0, "width": width, "height": measured["height"], "scale": 1}
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True, clip=whole)
        return Look(measured, base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._call("Browser.close", whole=True)
        os.close(self._in)
        os.close(self._out)
        self._process.wait(PATIENCE_S)

    def _call(self, method: str, *, whole: bool = False, **params: Any) -> dict[str, Any]:
        self._calls += 1
        number, session = self._calls, getattr(self, "_session", None)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session is not None and not whole:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._hear(lambda told: told.get("id") == number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _hear(self, wanted: Any) -> dict[str, Any]:
        """The next message that is wanted; others are passed over."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            while b"\0" in self._heard:
                line, _, self._heard = self._heard.partition(b"\0")
                told = json.loads(line)
                if wanted(told):
                    return told
            left_s = max(0.0, until_s - time.monotonic())
            assert select.select([self._in], [], [], left_s)[0], "the browser does not answer"
            content = os.read(self._in, 1 << 20)
            assert content, "the browser has ended"
            self._heard += content


def program() -> str:
    """The browser's program; the test is skipped where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")


def check_page(browser: Browser, page: Path, parts: Collection[str], keep: Path) -> Look:
    """What holds for every page of ours: on a phone and on a desk, in light and in dark.

    parts: ids that have to be there, with an extent. keep: where the screenshots go. Returns
    the look on a phone.
    """
    kept = Path(os.environ.get(KEPT_IN, keep))
    kept.mkdir(parents=True, exist_ok=True)
    looks, greys = {}, {}
    for name, size in SIZES.items():
        for dark in (False, True):
            look = browser.look(page, size, dark=dark)
            shade = "dark" if dark else "light"
            shot = kept / f"{page.parent.name}-{page.stem}-{name}-{shade}.png"
            shot.write_bytes(look.png)
            _check_look(look, size, parts)
            looks[name, dark], greys[name, dark] = look, _luminance(look.png)
    assert greys["phone", False] > greys["phone", True] + 60  # two themes
    return looks["phone", False]


def _check_look(look: Look, size: tuple[int, int], parts: Collection[str]) -> None:
    measured = look.measured
    assert measured["inner"] == size[0]
    assert measured["width"] <= size[0], measured["beyond"][:5]
    assert measured["beyond"] == []
    assert measured["fetched"] == []
    assert measured["broken"] == 0
    assert measured["headline"].strip()
    assert measured["smallest"] >= SMALLEST_TEXT_PX
    for part in parts:
        assert part in measured["parts"], f"no {part}: {sorted(measured['parts'])}"
        width, height = measured["parts"][part]
        assert width > 100, part
        assert height > 20, part


def _luminance(png: bytes) -> float:
    """The mean grey level of a picture that is not of one colour alone."""
    shot = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shot is not None
    grey = np.asarray(shot, np.float32)
    assert grey.std() > 3
    return float(np.median(grey))
