"""How training stands: what is told now and then, of the steps and of what comes before them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vibrissa.learn.recipes import Recipe

REPORT_S = 5.0  # between two lines about what comes before training


@dataclass(frozen=True)
class Progress:
    """How training stands. Times are means per step since the last report, in seconds.

    stage: "policy", or what comes before it: "backbone" while it is taught, "pictures" while a
    frozen one looks at them all (steps are then rows). Those have a loss or none, and no rate.
    """

    step: int
    steps: int
    loss: float
    grad_norm: float
    lr: float
    update_s: float
    data_s: float
    elapsed_s: float
    left_s: float
    epoch: float
    stage: str = "policy"


class Meter:
    """Adds up what happens between two reports."""

    def __init__(self, recipe: Recipe, first: int):
        self._steps, self._first, self._began_s = recipe.steps, first, time.perf_counter()
        self._rows: list[tuple[Tensor, Tensor, float, float]] = []

    def add(self, loss: Tensor, norm: Tensor, update_s: float, data_s: float) -> None:
        self._rows.append((loss, norm, update_s, data_s))

    def progress(self, step: int, lr: float, epoch: float) -> Progress:
        losses, norms, updates, datas = zip(*self._rows, strict=True)
        self._rows.clear()
        elapsed_s = time.perf_counter() - self._began_s
        return Progress(
            step=step,
            steps=self._steps,
            loss=torch.stack(losses).mean().item(),
            grad_norm=torch.stack(norms).mean().item(),
            lr=lr,
            update_s=sum(updates) / len(updates),
            data_s=sum(datas) / len(datas),
            elapsed_s=elapsed_s,
            left_s=elapsed_s / (step - self._first) * (self._steps - step),
            epoch=epoch,
        )


def staged(
    stage: str,
    steps: int,
    report: Callable[[Progress], None],
    interrupted: threading.Event,
) -> Callable[[int, float], None]:
    """A callback (step, loss) that reports what comes before training, and heeds Ctrl-C."""
    began_s, told_s = time.monotonic(), [0.0]

    def tell(step: int, loss: float) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        elapsed_s = time.monotonic() - began_s
        if elapsed_s - told_s[0] < REPORT_S and step < steps:
            return
        told_s[0] = elapsed_s
        each_s = elapsed_s / step
        left_s = each_s * (steps - step)
        report(
            Progress(step, steps, loss, math.nan, math.nan, each_s, 0, elapsed_s, left_s, 0, stage)
        )

    return tell
