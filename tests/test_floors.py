"""Imports only go down, rooms of one floor do not see each other, importing has no effect."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vibrissa

ROOT = Path(vibrissa.__file__).parent
FLOOR = {"core": 0, "control": 1, "sim": 2, "data": 2, "learn": 2, "show": 2, "machine": 2}
FLOOR |= {"real": 2, "bench": 3, "twin": 3, "commands": 4, "cli": 5}
# Which rooms may import the heavy libraries; a file may be named where a whole room may not.
ALLOWED = {
    "lerobot": ("data/", "learn/", "real/"),
    "mujoco": ("sim/", "twin/"),
    "rerun": ("show/",),
    "pygame": ("real/",),
    "zmq": ("real/", "twin/"),
    "torch": ("learn/", "data/loader.py"),
    "gymnasium": (),
    "ray": ("bench/fleet.py",),
}
FILES = sorted(ROOT.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """Every module a file imports, inside functions too, but not for type checkers alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "vibrissa" and len(parts) > 1 and parts[1] in FLOOR else None


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path) -> None:
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if here not in FLOOR:
        assert here == "__init__"
        return
    for module in _imports(path):
        room = _room(module)
        if room is None or room == here:
            continue
        assert FLOOR[room] < FLOOR[here], f"{path.name} on floor {FLOOR[here]} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_stay_in_their_rooms(path) -> None:
    inside = path.relative_to(ROOT).as_posix()
    for module in _imports(path):
        library = module.split(".")[0]
        if library in ALLOWED:
            assert inside.startswith(ALLOWED[library]), f"{inside} imports {library}"


def test_core_knows_no_clock_no_files_no_global_randomness() -> None:
    for path in (ROOT / "core").glob("*.py"):
        roots = {m.split(".")[0] for m in _imports(path)}
        assert not roots & {"time", "pathlib", "os", "random", "io", "shutil"}, path


def test_importing_everything_has_no_effect(tmp_path) -> None:
    modules = [
        ".".join(("vibrissa", *p.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for p in FILES
    ]
    code = (
        "import os, importlib\nbefore = dict(os.environ)\n"
        f"for m in {modules!r}: importlib.import_module(m)\n"
        "changed = {k for k in os.environ if os.environ[k] != before.get(k)}\n"
        "assert not any(k.startswith(('MUJOCO', 'HF_', 'VIBRISSA')) for k in changed), changed\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_every_file_says_its_idea_first() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text("utf8"))), path


def test_nothing_forks() -> None:
    """A fork copies the threads' locks and none of the threads: a camera that was open is dead."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert not called.endswith((".fork", ".forkpty")), f"{path} calls {called}"
            if called.endswith("get_context"):
                assert [ast.literal_eval(a) for a in node.args] == ["spawn"], path
            if called.endswith("ProcessPoolExecutor"):
                assert "mp_context" in {k.arg for k in node.keywords}, path
            assert called not in ("multiprocessing.Process", "multiprocessing.Pool"), path
