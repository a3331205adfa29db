"""Small recordings for tests: a smooth made-up motion of an SO-101, with or without pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vibrissa.core.contract import CameraSpec, Channel, Contract, so101
from vibrissa.core.episode import Decision, Episode, Observation, Outcome, Start, Step
from vibrissa.core.protocols import Observer

PRIVILEGED = (Channel("brick.x", "m"), Channel("brick.y", "m"))


def contract(
    cameras: tuple[CameraSpec, ...] = (), *, rate_hz: float = 30.0, privileged: bool = True
) -> Contract:
    return so101(
        rate_hz=rate_hz,
        privileged=PRIVILEGED if privileged else (),
        cameras=cameras,
        instruction="Pick up the block",
    )


def steps(of: Contract, ticks: int, seed: int) -> list[Step]:
    """`ticks` steps of a smooth random motion; what is sent lags what is asked by a clip."""
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 6, 6), rng.uniform(0.02, 0.06, 6)
    made = []
    for tick in range(ticks):
        state = (0.8 * np.sin(phase + speed * tick)).astype(np.float32)
        asked = (1.1 * np.sin(phase + speed * (tick + 1))).astype(np.float32)
        state[5], asked[5] = abs(state[5]), abs(asked[5])  # a gripper hardly goes below zero
        images = {c.name: picture(c, seed, tick) for c in of.cameras}
        truth = np.array([0.2 + 0.001 * tick, 0.1 * seed], np.float32)
        seen = Observation(
            tick,
            tick / of.rate_hz,
            state,
            truth if of.privileged else np.zeros(0, np.float32),
            images,
        )
        sent = np.clip(asked, -0.9, 0.9)
        made.append(Step(seen, Decision(asked, "script"), sent, 1000.0 + tick / of.rate_hz))
    return made


def picture(camera: CameraSpec, seed: int, tick: int) -> np.ndarray:
    """A flat grey that tells episode and tick, with a step so that it is a picture; or depth."""
    if camera.depth:
        return distances(camera, seed, tick)
    image = np.full((camera.height, camera.width, 3), 40 + 10 * seed + tick, np.uint8)
    image[: camera.height // 2] += 60
    return image


def distances(camera: CameraSpec, seed: int, tick: int) -> np.ndarray:
    """Depth (H, W) float32 m that tells episode and tick; the first row measured nothing."""
    rng = np.random.default_rng([seed, tick])
    ramp = np.linspace(0.2, 4.0, camera.width, dtype=np.float32)
    metres = np.tile(ramp + 0.01 * tick, (camera.height, 1)).astype(np.float32)
    metres += rng.uniform(0, 0.01, metres.shape).astype(np.float32)
    metres[0] = 0.0
    return metres


def play(
    observer: Observer,
    of: Contract,
    seed: int,
    *,
    ticks: int = 20,
    reason: str = "success",
) -> Episode:
    """One episode as the loop would show it to `observer`."""
    start = Start(
        of, "pick-place", of.instruction, seed, {"task": "pick-place", "timestep_s": 1 / 600}
    )
    observer.on_start(start)
    for step in steps(of, ticks, seed):
        observer.on_step(step)
    episode = ended(start, ticks, reason)
    observer.on_end(episode)
    return episode


def ended(start: Start, ticks: int, reason: str = "success") -> Episode:
    """An episode that ended after `ticks`."""
    name = "SUCCESS" if reason == "success" else "TIMEOUT"
    return Episode(start, Outcome(reason, ticks, name, "", {"z": 0.1}), 0.5)  # type: ignore[arg-type]


def record(out: Path, of: Contract, episodes: int, *, ticks: int = 20) -> Path:
    """A finished dataset of `episodes` episodes, the k-th of `ticks` + k rows, from seed k."""
    from vibrissa.data.recorder import Recorder

    with Recorder(out) as recorder:
        for seed in range(episodes):
            play(recorder, of, seed, ticks=ticks + seed)
    return out


def to_v21(source: Path, out: Path) -> Path:
    """A recorded dataset as LeRobot's format v2.1 lays it out: a file an episode, JSON lines."""
    from vibrissa.data.dataset import open_dataset

    dataset = open_dataset(source)
    shutil.copytree(source / "meta", out / "meta")
    chunk, episode = "chunk-{episode_chunk:03d}", "episode_{episode_index:06d}"
    info = dict(dataset.info.raw) | {
        "codebase_version": "v2.1",
        "data_path": f"data/{chunk}/{episode}.parquet",
        "video_path": f"videos/{chunk}/{{video_key}}/{episode}.mp4",
    }
    (out / "meta" / "info.json").write_text(json.dumps(info), encoding="utf-8")
    shutil.rmtree(out / "meta" / "episodes")
    (out / "meta" / "tasks.parquet").unlink()
    shutil.rmtree(out / "meta" / "vibrissa")
    tasks = [{"task_index": i, "task": task} for i, task in enumerate(dataset.tasks)]
    _lines(out / "meta" / "tasks.jsonl", tasks)
    rows = [
        {"episode_index": r.index, "tasks": list(r.tasks), "length": r.length}
        for r in dataset.episodes
    ]
    _lines(out / "meta" / "episodes.jsonl", rows)
    for row, stored in zip(dataset.episodes, dataset.files, strict=True):
        path = out / info["data_path"].format(episode_chunk=0, episode_index=row.index)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.read_table(stored), path)
        for key, video in row.videos.items():
            film = info["video_path"].format(
                episode_chunk=0, video_key=key, episode_index=row.index
            )
            (out / film).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(video.path, out / film)
    return out


def edit(root: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace the column `name` of a recorded dataset by `change` of it, file by file."""
    from vibrissa.data.dataset import open_dataset

    dataset = open_dataset(root, strict=False)
    values, first = change(dataset.column(name).copy()), 0
    for path in dataset.files:
        table = pq.read_table(path)
        field = table.schema.field(name)
        mine = values[first : first + len(table)]
        first += len(table)
        flat = pa.array(mine.reshape(-1), type=getattr(field.type, "value_type", field.type))
        column = (
            pa.FixedSizeListArray.from_arrays(flat, type=field.type) if mine.ndim == 2 else flat
        )
        pq.write_table(table.set_column(table.schema.get_field_index(name), field, column), path)


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
