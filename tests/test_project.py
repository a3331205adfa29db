"""What a new user meets first: commands that are whole, versions that are pinned."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf8")


def _command(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```\n(.*?)\n```\n<!-- end -->", README, re.DOTALL)
    assert found, f"the README has no {marker}"
    return found[1]


def test_the_readme_s_commands_are_whole() -> None:
    for marker in ("demo command", "test command"):
        command = _command(marker)
        assert "\n" not in command
        assert command.startswith("python3 -m pip install uv && python3 -m uv run ")
    assert "vibrissa demo" in _command("demo command")
    assert (ROOT / ".python-version").read_text().strip() == "3.12"


def test_ci_runs_the_readme_s_own_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf8")
    assert "<!-- test command -->" in script
    assert 'eval "$test_command"' in script


def test_pins_are_exact_and_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    pins = project["tool"]["uv"]["constraint-dependencies"]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    versions = {name.lower().replace("_", "-"): v for name, v in (p.split("==") for p in pins)}
    assert versions["lerobot"] == "0.6.1"
    wrong = {}
    for name, version in versions.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed, or another platform's
        if installed.split("+")[0] != version:
            wrong[name] = (installed, version)
    assert not wrong, f"installed, pinned: {wrong}"


def test_the_known_good_versions_travel_with_the_package() -> None:
    """An installed Vibrissa has no pyproject.toml; `vibrissa doctor` reads this list instead."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    pins = project["tool"]["uv"]["constraint-dependencies"]
    shipped = (ROOT / "src" / "vibrissa" / "machine" / "known_good.txt").read_text("utf8")
    assert [line for line in shipped.splitlines() if not line.startswith("#")] == pins


def test_no_lock_file_and_no_registry_is_tracked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    assert not {"uv.lock", "pylock.toml"} & {Path(name).name for name in tracked}


def test_every_figure_of_the_readme_has_its_script() -> None:
    named = set(re.findall(r"`(runs/[\w/]+\.(?:py|json))`", README))
    assert named
    for name in named:
        assert (ROOT / name).is_file(), f"the README names {name}, which is not there"


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
