"""LeRobot's own command lines, unmodified, as subprocesses: offline, no GPU, one thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 120  # LeRobot imports for ten seconds, and for more on a busy machine
TINY_ACT = {
    "type": "act",
    "device": "cpu",
    "push_to_hub": "false",
    "pretrained_backbone_weights": "null",
    "dim_model": "16",
    "dim_feedforward": "16",
    "n_heads": "2",
    "n_encoder_layers": "1",
    "n_vae_encoder_layers": "1",
    "latent_dim": "4",
    "chunk_size": "4",
    "n_action_steps": "4",
}


class Tool:
    """One of LeRobot's tools at work: what it asks can be read and answered.

    It runs in a session of its own, so it has no terminal and looks for no keys.
    """

    def __init__(self, name: str, *args: str):
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        self._process = subprocess.Popen(
            [str(Path(sys.executable).parent / name), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._told = bytearray()
        self._seen = 0  # of what it told, up to the last text that was expected
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def expect(self, text: str) -> None:
        """Wait until it says `text`, after whatever was expected before."""
        wanted, end_s = text.encode(), time.monotonic() + PATIENCE_S
        listening = True
        while (found := self._told.find(wanted, self._seen)) < 0:
            assert listening, f"it ended before {text!r}: {self._tail()}"
            listening = self._listener.is_alive()
            assert time.monotonic() < end_s, f"it never said {text!r}: {self._tail()}"
            time.sleep(0.02)
        self._seen = found + len(wanted)

    def say(self, line: str = "") -> None:
        """Type `line` and Enter."""
        self._stdin.write(f"{line}\n".encode())
        self._stdin.flush()

    def finish(self) -> str:
        """Everything it said; nothing more is typed. Fails where it came to no good end."""
        self._stdin.close()
        try:
            self._process.wait(PATIENCE_S)
            self._listener.join(PATIENCE_S)
        finally:
            self._process.kill()
        assert self._process.returncode == 0, self._tail()
        return self._told.decode("utf8", "replace")

    def _listen(self) -> None:
        """A tool that nobody listens to stands still once its pipe is full."""
        assert self._process.stdout is not None
        while more := os.read(self._process.stdout.fileno(), 1 << 16):
            self._told += more

    def _tail(self) -> str:
        return self._told[-4000:].decode("utf8", "replace")


def run(name: str, *args: str) -> str:
    """A tool that asks nothing, to its good end; what it said."""
    return Tool(name, *args).finish()


def save_tiny_act(dataset: Path, folder: Path, **options: Any) -> Path:
    """What `lerobot-train` writes for a dataset, without the training: a tiny ACT, processors.

    options: of LeRobot's ACTConfig, such as normalization_mapping.
    """
    import json

    from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.factory import make_policy, make_pre_post_processors

    meta = LeRobotDatasetMetadata("local/set", root=dataset)
    sizes = {name: json.loads(value) for name, value in TINY_ACT.items() if value.isdigit()}
    config = ACTConfig(device="cpu", pretrained_backbone_weights=None, **sizes, **options)
    make_policy(config, ds_meta=meta).save_pretrained(folder)
    stats: Any = meta.stats
    for processor in make_pre_post_processors(config, dataset_stats=stats):
        processor.save_pretrained(folder)
    return folder
