"""LeRobot's own command lines, unmodified, as subprocesses: offline, no GPU, one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 250  # LeRobot imports for ten seconds and more on a busy machine
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


def start(tool: str, *args: str) -> subprocess.Popen[str]:
    """`tool` with `args`, its input and output in pipes.

    In a session of its own, so that it has no terminal and waits for no key.
    """
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    script = Path(sys.executable).parent / tool
    return subprocess.Popen(
        [str(script), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=env,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Everything it printed. Fails with the end of it where it did not come to a good end."""
    try:
        told = process.communicate(timeout=PATIENCE_S)[0]
    finally:
        process.kill()
    assert process.returncode == 0, told[-4000:]
    return told
