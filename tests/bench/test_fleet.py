"""Judging and recording over Ray: as it is here, also where an actor is killed in mid-run."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bench.builds import TICKS, MortalSim, mortal_setup, short, zero_setup
from fakes import Tape

from vibrissa import cli
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.fleet import _what_it_raised, connected, work_off
from vibrissa.bench.fleet_episodes import play_on_fleet
from vibrissa.bench.judge import judge
from vibrissa.bench.outcomes import RowFile
from vibrissa.bench.setups import Place, scripted
from vibrissa.bench.workers import WorkerLost, itself
from vibrissa.commands import record
from vibrissa.commands import scripted as scripted_command
from vibrissa.control.drive import run_episode
from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.errors import OutOfMemory, UsageError, VibrissaError
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.recorder import finished, successful
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import make_scene

SEEDS = range(10)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of this machine, started once: that takes seconds."""
    with connected("local"):
        yield


def outcomes(path: Path) -> list[dict]:
    """The rows of a file by seed, less what a clock tells."""
    rows = [json.loads(line) for line in path.read_text("utf8").splitlines()]
    for row in rows:
        assert row.pop("wall_s") > 0
        row.pop("latency_s")
    return sorted(rows, key=lambda row: row["seed"])


@pytest.mark.timeout(280)
def test_an_actor_that_is_killed_changes_no_row(cluster: None, tmp_path: Path) -> None:
    files = [RowFile(tmp_path / name / "outcomes.jsonl") for name in ("fleet", "here")]
    mark = tmp_path / "mark"
    judge(mortal_setup(mark), SEEDS, keep=files[0].add, fleet="local", workers=1)
    assert mark.exists(), "nobody was killed"
    judge(mortal_setup(mark), SEEDS, keep=files[1].add)
    assert outcomes(files[0].path) == outcomes(files[1].path)
    assert len(outcomes(files[0].path)) == len(SEEDS)


@pytest.mark.timeout(280)
def test_what_an_actor_raises_comes_back_as_it_is(cluster: None) -> None:
    scene = make_scene("lift")
    lost = scripted(Place("no such task", scene), "zero")
    with pytest.raises(VibrissaError, match="no task 'no such task'"):
        judge(lost, SEEDS, fleet="local", workers=1)


@pytest.mark.timeout(280)
def test_episodes_come_in_order_and_few_of_them_wait(cluster: None) -> None:
    """Of failed ones, which nobody wants, only the end is told."""
    played = list(play_on_fleet(zero_setup, SEEDS, "local", successful, 2))
    assert [one.seed for one in played] == list(SEEDS)
    assert all(one.episode is not None and one.error is None for one in played)
    assert not any(one.steps for one in played)
    assert {one.episode.outcome.reason for one in played if one.episode} == {"timeout"}


@pytest.mark.timeout(280)
def test_a_sweep_by_a_fleet_has_the_local_rows(
    cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every cell, and what is concluded from them."""
    words = ["eval", "--pilot", "expert", "--task", "lift", "--sweep", "clip=0.6:1.7", "--json"]
    told = []
    for name, more in (("here", []), ("fleet", ["--fleet", "local", "--workers", "1"])):
        out = ["--episodes", "4", "--seeds", "7", "--out", str(tmp_path / name)]
        assert cli.main([*words, *out, *more]) == 0
        told.append(json.loads(capsys.readouterr().out))
    cells = sorted(p.name for p in (tmp_path / "here" / "cells").iterdir())
    assert len(cells) == 2
    for cell in cells:
        here, there = (
            outcomes(tmp_path / name / "cells" / cell / "outcomes.jsonl")
            for name in ("here", "fleet")
        )
        assert here == there
        assert len(here) == 4
    assert [cell["versus"] for cell in told[0]["cells"]] == [c["versus"] for c in told[1]["cells"]]
    assert [cell["success"] for cell in told[0]["cells"]] == [4, 0]


@pytest.mark.timeout(280)
def test_pictures_of_a_fleet_are_the_local_ones(cluster: None, opengl: None) -> None:
    """As they are before anybody codes them; two cameras, drawn in the actor."""
    cfg = record.Config(
        Path("nowhere"), task="lift", cameras=("overhead", "wrist"), camera_size=(48, 32)
    )
    stage = scripted_command._stage(cfg)
    stage = replace(stage, make_task=partial(short, stage.make_task))
    seeds, near, far = range(2), Tape(), Tape()
    arm = stage.make_arm()
    pilot, task = stage.make_pilot(arm), stage.make_task()
    for seed in seeds:
        run_episode(arm, pilot, task, [Looking(near)], seed=seed)
    for played in play_on_fleet(partial(itself, stage), seeds, "local", finished, 1):
        played.tell(far)
    assert len(near.steps) == len(far.steps) == len(seeds) * TICKS
    for here, there in zip(near.steps, far.steps, strict=True):
        assert set(there.observation.images) == {"overhead", "wrist"}
        for name, picture in there.observation.images.items():
            np.testing.assert_array_equal(picture, here.observation.images[name])
    assert np.ptp(far.steps[-1].observation.images["wrist"]) > 0, "it shows something"


class Looking:
    """Copies every step with its pictures, as an observer that keeps them does."""

    def __init__(self, tape: Tape):
        self._tape = tape

    def on_start(self, start: Start) -> None:
        self._tape.on_start(start)

    def on_step(self, step: Step) -> None:
        images = {name: picture.copy() for name, picture in step.observation.images.items()}
        self._tape.on_step(replace(step, observation=replace(step.observation, images=images)))

    def on_end(self, episode: Episode) -> None:
        self._tape.on_end(episode)


@pytest.mark.parametrize(
    ("address", "kind", "told"),
    [
        ("local", "Exception", "Ray does not start on this computer (The node timed out.)."),
        ("local", "RuntimeError", "Ray does not start on this computer (The node timed out.)."),
        ("10.0.0.5:6379", "ConnectionError", "no Ray cluster at '10.0.0.5:6379' (The node"),
        ("10.0.0.5:6379", "ray", "no Ray cluster at '10.0.0.5:6379' (The node timed out.)."),
        ("local", "KeyError", ""),
    ],
)
def test_a_ray_that_does_not_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, address: str, kind: str, told: str
) -> None:
    """Of a node that is not up in time Ray raises an Exception of no kind; a bug stays a bug."""
    import ray.exceptions  # pyright: ignore[reportMissingImports]

    raised = ray.exceptions.RpcError if kind == "ray" else getattr(builtins, kind)

    def init(**_: object) -> None:
        raise raised("\nThe node timed out.\nTraceback of no use")

    no_ray = SimpleNamespace(
        is_initialized=lambda: False, init=init, shutdown=lambda: None, exceptions=ray.exceptions
    )
    monkeypatch.setattr("vibrissa.bench.fleet._ray", lambda: no_ray)
    with pytest.raises(UsageError if told else raised) as error, connected(address):
        pass
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value) or not told


def test_no_share_is_begun_far_ahead_of_the_first_that_is_out() -> None:
    """The first share takes longer than any other: those after it wait, all but a few."""
    ray = Rays(slow=0)
    told = [share[0] for share in work_off(ray, ray.actor, [(i,) for i in range(9)], 2, ahead=4)]
    assert told == [1, 2, 3, 0, *told[4:]]
    assert sorted(told[4:]) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("loss", ["OutOfMemoryError", "NodeDiedError", "ActorDiedError"])
def test_whatever_an_actor_is_lost_by_its_share_is_done_again(loss: str) -> None:
    """Ray itself kills actors where memory runs low, and tells it by a class of its own."""
    ray = Rays(fails={2: [loss, loss]})
    assert sorted(work_off(ray, ray.actor, [(i,) for i in range(4)], 2)) == [(0,), (1,), (2,), (3,)]
    ray = Rays(fails={2: [loss, loss, loss]})
    told = work_off(ray, ray.actor, [(i,) for i in range(4)], 2)
    with pytest.raises(WorkerLost, match=r"3 actors died over the seed 2 \(.*\)\. Is there"):
        list(told)


def test_an_actor_without_memory_is_lost_and_no_fault_of_the_policy() -> None:
    """Its rows so far are kept, so it must be told as a worker's loss."""
    told = _what_it_raised(SimpleNamespace(cause=OutOfMemory("cuda has no memory left.")))
    assert isinstance(told, WorkerLost)
    assert "cuda has no memory left. Fewer arms an actor need less: --slots 1" in str(told)
    assert isinstance(_what_it_raised(SimpleNamespace(cause=MemoryError())), WorkerLost)


def test_a_ray_that_breaks_down_is_one_line() -> None:
    ray = Rays(fails={1: ["RaySystemError"]})
    with pytest.raises(WorkerLost, match=r"Ray itself broke down \(System error: gone\)\."):
        list(work_off(ray, ray.actor, [(0,), (1,)], 1))


class Rays:
    """A Ray of one thread, in which the share `slow` is ready only when nothing else is.

    fails: by share, what it raises when it is asked for the first time, the second, …
    """

    def __init__(self, slow: int = -1, fails: Mapping[int, Sequence[str]] | None = None):
        import ray.exceptions  # pyright: ignore[reportMissingImports]

        self.exceptions = ray.exceptions
        self._slow = slow
        self._fails = {share: list(names) for share, names in (fails or {}).items()}

    def actor(self) -> SimpleNamespace:
        return SimpleNamespace(work=SimpleNamespace(remote=lambda share: share))

    def wait(self, refs: list, num_returns: int) -> tuple[list, list]:
        return sorted(refs, key=lambda share: share[0] == self._slow)[:num_returns], []

    def get(self, ref: tuple) -> tuple:
        names = self._fails.get(ref[0])
        if names:
            kind = getattr(self.exceptions, names.pop(0))
            raise kind() if kind is self.exceptions.ActorDiedError else kind("gone")
        return ref

    def kill(self, actor: SimpleNamespace) -> None:
        pass


@pytest.mark.timeout(280)
def test_a_recording_of_a_fleet_is_the_local_one(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed attempts between those that are kept, and an actor killed in mid-run."""
    mark = tmp_path / "mark"
    stage = scripted_command._stage

    def mortal(cfg: record.Config) -> Setup:
        made = stage(cfg)
        if not cfg.fleet:
            return made
        arm = made.make_arm()
        assert isinstance(arm, SimArm)
        return replace(made, make_arm=partial(MortalSim, mark, arm.cfg))

    monkeypatch.setattr(scripted_command, "_stage", mortal)
    told, sets = [], []
    for name, fleet in (("here", ""), ("fleet", "local")):
        out = tmp_path / name
        how = {"task": "lift", "episodes": 4, "seeds": 2, "noise_rad": 0.15, "fleet": fleet}
        told.append(record.record(record.Config(out, **how)))
        sets.append(open_dataset(out))
    assert mark.exists(), "nobody was killed"
    assert told[0].discarded == told[1].discarded > 0
    assert sets[0].frames == sets[1].frames
    assert sets[0].features == sets[1].features
    for column in sets[0].features:
        if column != "wall_time_s":
            np.testing.assert_array_equal(sets[0].column(column), sets[1].column(column))
    assert notes(sets[0]) == notes(sets[1])


def notes(dataset: Dataset) -> list[dict]:
    """What is noted of the episodes, less what a clock or chance tells."""
    return [{k: v for k, v in n.items() if k not in ("wall_s", "take")} for n in dataset.notes]


def test_a_fleet_records_scripts_only(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    argv = ["record", "--out", str(tmp_path / "set"), "--fleet", "local"]
    for more in (["--pilot", "keyboard"], ["--targets", "places.yaml"]):
        assert cli.main([*argv, *more]) == 1
        assert capsys.readouterr().err.startswith("vibrissa: --fleet: not for ")


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **words):
        if name.split(".")[0] == "ray":
            raise ImportError(name)
        return real(name, *rest, **words)

    monkeypatch.setattr(builtins, "__import__", without)
    scene = make_scene("lift")
    with pytest.raises(UsageError, match=r"pip install 'vibrissa\[fleet\]'"):
        judge(scripted(Place("lift", scene), "zero"), SEEDS, fleet="local")
