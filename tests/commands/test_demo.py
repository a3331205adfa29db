"""The demo end to end, small: every part is there, and it can be stopped anywhere."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vibrissa import cli
from vibrissa.bench.ledger import Ledger
from vibrissa.bench.outcomes import RowFile, read_rows
from vibrissa.commands import demo
from vibrissa.commands.eval import HELD_OUT
from vibrissa.core.errors import UsageError

SMALL = ["--recipe", "debug", "--demonstrations", "2", "--episodes", "3"]


def call(out: Path, *more: str) -> int:
    return cli.main(["demo", "--out", str(out), *SMALL, *more])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo that ran to its end, in a folder with a space in its name."""
    out = tmp_path_factory.mktemp("a demo") / "here it is"
    assert call(out) == 0
    return out


def outcomes(out: Path) -> list[tuple[Any, ...]]:
    """What may not depend on how often a demo was stopped."""
    rows = sorted(read_rows(out / "outcomes.jsonl"), key=lambda r: (r.pilot, r.seed))
    return [(r.pilot, r.seed, r.reason, r.failure_class, r.ticks, r.spawn) for r in rows]


def test_everything_is_there(done: Path) -> None:
    told = json.loads((done / "report.json").read_text())
    assert told["episodes"] == 3
    assert 0 <= told["success"] <= 3
    assert (told["expert"], told["zero"]) == (1.0, 0.0)
    assert len(told["interval"]) == 2
    assert list(told["seconds"]) == ["record", "train", "judge", "film"]
    assert told["wall_s"] >= sum(told["seconds"].values()) - 0.5
    assert told["settings"]["demonstrations"] == 2
    assert told["command"].startswith("vibrissa demo --out")
    assert {r[:2] for r in outcomes(done)} == {
        (pilot, HELD_OUT + i) for pilot in ("policy", "expert", "zero") for i in range(3)
    }
    page = (done / "report.html").read_text(encoding="utf-8")
    assert 'id="curve"' in page
    assert 'id="map"' in page
    assert "block.x" in page  # what is privileged is named
    assert (done / "demonstrations" / "meta" / "info.json").is_file()
    assert list((done / "run" / "checkpoints").iterdir())


def test_the_report_has_a_film_of_every_class(done: Path, opengl: None) -> None:
    page = (done / "report.html").read_text(encoding="utf-8")
    classes = json.loads((done / "report.json").read_text())["classes"]
    assert page.count("data:video/mp4;base64,") == len(classes)
    assert all(f'id="clip-{name}"' in page for name in classes)


def test_a_finished_demo_is_only_told_again(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.rglob("*") if p.is_file()}
    assert call(done, "--json") == 0
    out, _ = capsys.readouterr()
    assert json.loads(out) == json.loads((done / "report.json").read_text())
    after = {p: p.stat().st_mtime_ns for p in done.rglob("*") if p.is_file()}
    assert {p.name for p in after if before.get(p) != after[p]} <= {"demo.json"}
    assert call(done) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("policy ")
    assert out.splitlines()[-1].endswith("report.html")


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def in_recording(patch: pytest.MonkeyPatch) -> None:
    from vibrissa.sim.expert import Expert

    decide, calls = Expert.decide, iter(range(200))

    def slow(self: Expert, observation: Any) -> Any:
        return decide(self, observation) if next(calls, None) is not None else interrupt()

    patch.setattr(Expert, "decide", slow)


def in_training(patch: pytest.MonkeyPatch) -> None:
    from vibrissa.learn.run import RunFolder

    add = RunFolder.add_metrics

    def signalled(self: RunFolder, row: Any) -> None:
        add(self, row)
        if row["step"] == 15:
            os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(RunFolder, "add_metrics", signalled)


def in_judging(patch: pytest.MonkeyPatch) -> None:
    add = RowFile.add

    def one(self: RowFile, row: Any) -> None:
        add(self, row)
        interrupt()

    patch.setattr(RowFile, "add", one)


def in_filming(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("vibrissa.bench.page.film", interrupt)


def in_writing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("vibrissa.bench.report.to_page", interrupt)


STOPS: list[tuple[Callable[[pytest.MonkeyPatch], None], list[str]]] = [
    (in_recording, []),
    (in_training, ["record"]),
    (in_judging, ["record", "train"]),
    (in_filming, ["record", "train", "judge"]),
    (in_writing, ["record", "train", "judge", "film"]),
]


def test_stopped_in_every_phase_it_ends_as_if_it_had_not_been(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again and again"
    for stop, finished in STOPS:
        with pytest.MonkeyPatch.context() as patch:
            stop(patch)
            assert call(out) == cli.STOPPED_EXIT
        assert "goes on from here: vibrissa demo --out" in capsys.readouterr().err
        assert json.loads((out / "demo.json").read_text())["done"] == finished
        assert not (out / "report.html").exists()
    recorded = (out / "demonstrations" / "meta" / "info.json").stat().st_mtime_ns
    weights = {p: p.stat().st_mtime_ns for p in (out / "run").rglob("*.safetensors")}
    assert call(out) == 0
    assert outcomes(out) == outcomes(done)
    assert (out / "demonstrations" / "meta" / "info.json").stat().st_mtime_ns == recorded
    assert {p: p.stat().st_mtime_ns for p in (out / "run").rglob("*.safetensors")} == weights


def test_other_settings_are_refused_in_one_line(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(done, "--seed", "3") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "begun with seed 0, and this call asks for seed 3" in line


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--recipe", "nonsense"], "no recipe 'nonsense'"),
        (["--demonstrations", "0"], "at least 1"),
        (["--seed", "200"], "at most --seed 199"),
        (["--randomise", "wild"], "There is: none, light, strong"),
        (["--demonstrations", "4000"], "--demonstrations 3333"),
    ],
)
def test_what_makes_no_sense_is_refused_before_all_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    out = tmp_path / "out"
    assert cli.main(["demo", "--out", str(out), *more]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not out.exists()


def test_a_folder_of_somebody_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert call(tmp_path) == 1
    assert "was not begun by this command" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_randomised_demo_varies_in_demonstrations_and_in_judgement(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    assert call(out, "--randomise", "light") == 0
    notes = (out / "demonstrations/meta/vibrissa/episodes.jsonl").read_text().splitlines()
    assert all(json.loads(note)["sampled"]["mass"] for note in notes)
    assert all(row.sampled["mass"] for row in read_rows(out / "outcomes.jsonl"))


def test_demonstrations_and_judgement_never_share_a_seed() -> None:
    for seed, count in ((0, 3333), (99, 3333), (7, 100)):
        demo._recipe(demo.Config(Path("x"), demonstrations=count, seed=seed))
        assert seed * demo.SEEDS_APART + 2 * count + 20 < HELD_OUT
        assert 2 * count + 20 < demo.SEEDS_APART  # nor do two training seeds


def test_the_command_it_prints_is_the_command_that_was_given() -> None:
    import shlex

    import tyro

    cfg = demo.Config(Path("a b"), demonstrations=7, vision=True, seed=2, recipe="debug")
    words = shlex.split(demo._command(cfg))
    assert words[:2] == ["vibrissa", "demo"]
    assert tyro.cli(demo.Config, args=words[2:]) == cfg


def test_a_ledger_adds_up_and_keeps_what_a_stopped_phase_has_cost(tmp_path: Path) -> None:
    file = tmp_path / "work" / "demo.json"
    ledger = Ledger(file, {"a": 1, "b": None})
    with pytest.raises(KeyboardInterrupt), ledger.phase("one"):
        raise KeyboardInterrupt
    assert not ledger.done("one")
    first_s = ledger.seconds["one"]
    again = Ledger(file, {"a": 1, "b": None})
    with again.phase("one"):
        pass
    assert again.done("one")
    assert again.seconds["one"] >= first_s
    assert again.wall_s >= sum(again.seconds.values())
    with pytest.raises(UsageError, match="begun with a 1, b None, and this call asks for a 2, b 3"):
        Ledger(file, {"a": 2, "b": 3})


def test_a_spoilt_ledger_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    file.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        Ledger(file, {})
