"""Small datasets in LeRobot's format v3.0 whose films, spans, timestamps and rows can be damaged.

Nothing of Vibrissa makes them, so that a fault of its writer cannot hide one of its reader. Every
picture bears its number, in blocks that any codec keeps.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

KEY = "observation.images.front"
SIDE_PX, BLOCKS = 64, 4
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
CLOCK_HZ = 90000
CODED = {"g": "2", "bf": "0"}
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILM = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}"


@dataclass
class Made:
    """A dataset before it is written: change what is to be damaged, then `write` it.

    shots: the numbers of the film's pictures, in the order of their times film_s. columns, table,
    info, stats: what the files will say.
    """

    fps: float
    shots: list[int]
    film_s: list[float]
    columns: dict[str, Any]
    table: list[dict[str, Any]]
    info: dict[str, Any]
    stats: dict[str, Any]
    encode: Callable[[Path, Made], None] = lambda path, made: encode(path, made.shots, made.film_s)
    suffix: str = "mp4"


def made(lengths: Sequence[int] = (9, 12, 10), fps: float = 30) -> Made:
    """A whole dataset: one film, in which picture k is row k of all."""
    rows = sum(lengths)
    firsts = np.cumsum([0, *lengths])
    frame = np.concatenate([np.arange(n) for n in lengths])
    episode = np.repeat(np.arange(len(lengths)), lengths)
    phase = np.linspace(0, 5, 6) + np.arange(rows)[:, None] * 0.4
    columns = {
        "observation.state": (40 * np.sin(phase)).astype(np.float32),
        "action": (45 * np.sin(phase + 0.3)).astype(np.float32),
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": episode,
        "index": np.arange(rows),
        "task_index": np.zeros(rows, np.int64),
    }
    table = [
        {
            "episode_index": e,
            "tasks": ["Put the block into the bowl"],
            "length": n,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": int(firsts[e]),
            "dataset_to_index": int(firsts[e + 1]),
            f"videos/{KEY}/chunk_index": 0,
            f"videos/{KEY}/file_index": 0,
            f"videos/{KEY}/from_timestamp": firsts[e] / fps,
            f"videos/{KEY}/to_timestamp": firsts[e + 1] / fps,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for e, n in enumerate(lengths)
    ]
    stats = {name: _statistics(np.asarray(values)) for name, values in columns.items()}
    stats[KEY] = {name: [[[0.3]]] * 3 for name in ("min", "max", "mean", "std")} | {"count": [99]}
    film_s = [k / fps for k in range(rows)]
    return Made(fps, list(range(rows)), film_s, columns, table, _info(lengths, fps), stats)


def write(root: Path, of: Made) -> Path:
    """Put it on the disk."""
    for part in ("meta/episodes/chunk-000", "data/chunk-000"):
        (root / part).mkdir(parents=True)
    film = FILM.format(video_key=KEY, chunk_index=0, file_index=0)
    path = root / f"{film}.{of.suffix}"
    path.parent.mkdir(parents=True)
    of.encode(path, of)
    columns = {name: _column(values) for name, values in of.columns.items()}
    pq.write_table(pa.table(columns), root / "data/chunk-000/file-000.parquet")
    table = pa.Table.from_pylist(of.table)
    pq.write_table(table, root / "meta/episodes/chunk-000/file-000.parquet")
    task = pd.Index(["Put the block into the bowl"], name="task")
    pd.DataFrame({"task_index": [0]}, index=task).to_parquet(root / "meta/tasks.parquet")
    info = of.info | {"video_path": f"{FILM}.{of.suffix}"}
    (root / "meta/info.json").write_text(json.dumps(info), encoding="utf-8")
    (root / "meta/stats.json").write_text(json.dumps(of.stats), encoding="utf-8")
    return root


def ends_early(of: Made) -> Made:
    """The same dataset with a wrong `to_timestamp`: read as LeRobot does, and worth a warning."""
    of.table[2][f"videos/{KEY}/to_timestamp"] -= 5 / of.fps
    return of


def in_cells(of: Made) -> Made:
    """The same dataset with its pictures as PNG in the rows, and no film."""
    pngs = [{"bytes": png(coded(number)), "path": None} for number in of.shots]
    of.columns[KEY] = pa.array(pngs, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    of.info["features"][KEY]["dtype"] = "image"
    of.table = [{k: v for k, v in row.items() if not k.startswith("videos/")} for row in of.table]
    of.encode = lambda path, made: None
    return of


def png(picture: NDArray[np.integer], kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture's file."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **options)
    return content.getvalue()


def coded(number: int, side_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """A picture that bears its number: one bit a block."""
    bits = [(number >> k) & 1 for k in range(BLOCKS**2)]
    grey = np.where(np.array(bits).reshape(BLOCKS, BLOCKS), 220, 40).astype(np.uint8)
    wide = np.kron(grey, np.ones((side_px // BLOCKS,) * 2, np.uint8))
    return np.repeat(wide[..., None], 3, axis=2)


def number_in(picture: NDArray) -> int:
    """Which number a picture (H, W, 3) bears."""
    size = picture.shape[0] // BLOCKS
    blocks = picture[..., 0].reshape(BLOCKS, size, BLOCKS, size).mean(axis=(1, 3)).reshape(-1)
    return sum(1 << k for k, level in enumerate(blocks) if level > 128)


def encode(
    path: Path,
    shots: Sequence[int],
    times_s: Sequence[float],
    *,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    side_px: int = SIDE_PX,
    container: Mapping[str, str] | None = None,
) -> None:
    """A film of numbered pictures at these times."""
    clock = Fraction(1, CLOCK_HZ)
    with av.open(str(path), "w", options=dict(container or {})) as film:
        stream: Any = film.add_stream(codec, rate=30, options=dict(options or CODED))
        stream.width = stream.height = side_px
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = clock if codec != "mpeg4" else Fraction(1, 30000)
        for number, time_s in zip(shots, times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(coded(number, side_px), format="rgb24")
            frame.pts, frame.time_base = round(time_s * CLOCK_HZ), clock
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


def copied_without_times(path: Path, of: Made) -> None:
    """B-frames copied into a film as if each packet were shown when it stands in the file."""
    raw = path.with_suffix(".h264")
    encode(raw, of.shots, of.film_s, options={"bf": "3", "g": "30"})
    copy(raw, path, lambda n, packet: (n, n), Fraction(1, round(of.fps)))
    raw.unlink()


def trimmed_by_edit_list(path: Path, of: Made, cut: int = 3) -> None:
    """The first `cut` pictures are in the file, and an edit list says not to show them."""
    whole = path.with_name("whole.mp4")
    times_s = [k / of.fps for k in range(cut)] + [t + cut / of.fps for t in of.film_s]
    encode(whole, [999] * cut + of.shots, times_s, options={"g": "30", "bf": "0"})
    cut_s = Fraction(cut) / Fraction(of.fps)

    def earlier(_: int, packet: Any) -> tuple[int, int]:
        back = round(cut_s / packet.time_base)
        return packet.pts - back, packet.dts - back

    copy(whole, path, earlier, None, {"avoid_negative_ts": "disabled"})
    whole.unlink()


def copy(
    source: Path,
    out: Path,
    times: Callable[[int, Any], tuple[int, int]],
    clock: Fraction | None,
    options: Mapping[str, str] | None = None,
) -> None:
    """A film with the same coded pictures at other times (pts, dts), of this clock or its own."""
    with av.open(str(source)) as given, av.open(str(out), "w", options=dict(options or {})) as film:
        stream = film.add_stream_from_template(given.streams.video[0])
        packets = (packet for packet in given.demux(video=0) if packet.size)
        for n, packet in enumerate(packets):
            packet.pts, packet.dts = times(n, packet)
            packet.time_base, packet.stream = clock or packet.time_base, stream
            film.mux(packet)


def _info(lengths: Sequence[int], fps: float) -> dict[str, Any]:
    names = [f"{joint}.pos" for joint in JOINTS]
    vector = {"dtype": "float32", "shape": [6], "names": names}
    features: dict[str, Any] = {
        "observation.state": vector,
        "action": vector,
        KEY: {
            "dtype": "video",
            "shape": [SIDE_PX, SIDE_PX, 3],
            "names": ["height", "width", "channels"],
            "info": {"video.is_depth_map": False, "video.fps": fps},
        },
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    }
    for name in ("frame_index", "episode_index", "index", "task_index"):
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    return {
        "codebase_version": "v3.0",
        "robot_type": "so_follower",
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(lengths)}"},
        "data_path": DATA,
        "features": features,
    }


def _statistics(values: NDArray) -> dict[str, Any]:
    flat = values.astype(np.float64).reshape(len(values), -1)
    named = {"min": flat.min(0), "max": flat.max(0), "mean": flat.mean(0), "std": flat.std(0)}
    return {name: value.tolist() for name, value in named.items()} | {"count": [len(values)]}


def _column(values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    values = np.asarray(values)
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
