"""Checkpoints and datasets as other people have them: without contract, old, or in part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file


def aged(pretrained: Path, out: Path) -> Path:
    """The same policy as LeRobot saved it until 2025: statistics within the weights."""
    from vibrissa.learn.loading import load_learner
    from vibrissa.learn.statistics import statistics_of

    out.mkdir(parents=True)
    shutil.copy(pretrained / "config.json", out)
    stored = load_file(pretrained / "model.safetensors")
    import torch

    learner = load_learner(pretrained, "cpu")
    known = statistics_of(learner)
    config = learner.policy.config
    for key in {**(config.input_features or {}), **(config.output_features or {})}:
        if key not in known:
            continue
        values = known[key]
        modules = ["normalize_inputs"]
        if key == "action":
            modules = ["normalize_targets", "unnormalize_outputs"]
        for module in modules:
            for kind in ("mean", "std"):
                name = f"{module}.buffer_{key.replace('.', '_')}.{kind}"
                stored[name] = torch.tensor(values[kind], dtype=torch.float32)
                if "images" in key:
                    stored[name] = stored[name].reshape(3, 1, 1)
    save_file(stored, out / "model.safetensors")
    return out


def meta_only(dataset: Path, out: Path, version: str = "v3.0") -> Path:
    """Of a dataset only meta/info.json and statistics, as `version` keeps them; no contract."""
    (out / "meta").mkdir(parents=True)
    info = json.loads((dataset / "meta" / "info.json").read_text()) | {"codebase_version": version}
    (out / "meta" / "info.json").write_text(json.dumps(info))
    stats = json.loads((dataset / "meta" / "stats.json").read_text())
    if version != "v2.1":
        (out / "meta" / "stats.json").write_text(json.dumps(stats))
        return out
    from vibrissa.data.dataset import open_dataset

    opened = open_dataset(dataset)
    rows = []
    for row in opened.episodes:
        columns = opened.episode(row.index)
        told = {key: _moments(columns[key]) for key in ("observation.state", "action")}
        rows.append(json.dumps({"episode_index": row.index, "stats": told}))
    (out / "meta" / "episodes_stats.jsonl").write_text("\n".join(rows) + "\n")
    return out


def change(root: Path, edit: Callable[[dict[str, Any]], object], name: str = "info.json") -> None:
    """Edit a JSON file of a dataset's meta folder in place."""
    path = root / "meta" / name
    told = json.loads(path.read_text())
    edit(told)
    path.write_text(json.dumps(told))


def _moments(values: np.ndarray) -> dict[str, Any]:
    return {
        "min": values.min(0).tolist(),
        "max": values.max(0).tolist(),
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "count": [len(values)],
    }
