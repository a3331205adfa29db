"""A backbone learns to see before the policy learns to act.

ACT looks through a ResNet that its users fetch with ImageNet's weights. Without them imitation
alone teaches it slowly: a joint's error says little about where in the picture the object was.
A simulated recording knows where the object is, so the backbone is first taught to say so from
single pictures. What acts later never reads that pose, only the pictures.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

from vibrissa.core import kinematics
from vibrissa.core.errors import PolicyFault
from vibrissa.learn.recipes import Teaching

NEAR_M = 0.15  # what is farther from the tip than this is told roughly
HIDDEN = 128
SMALLEST_STD = 1e-6
ROWS_AT_CHECK = 64
REPORT_S = 1.0
_TURN = re.compile(r"(.+)\.(sin|cos)(\d+)yaw")


# Rows of the dataset in, the pictures (B, 3, H, W) of each camera out, as the network wants them.
Look = Callable[[NDArray[np.int64]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Labels:
    """What a picture is to tell, one column a name: (N, L) float32, and its unit."""

    names: tuple[str, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Lesson:
    """What every row's pictures are to tell, and which rows (N,) only check it."""

    labels: Labels
    held_out: NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """How well one camera's pictures told, on rows that were not taught: |error| by column."""

    camera: str
    rows: int
    median: Mapping[str, float]
    worst_tenth: Mapping[str, float]  # the 0.9 quantile


def labels_of(names: Sequence[str], privileged: NDArray, joints_rad: NDArray) -> Labels:
    """Where things are, in the world and as the gripper's tip sees them.

    names and privileged (N, P): the recording's privileged channels, such as `block.x`,
    `block.sin2yaw`. joints_rad: (N, 6). Positions in m; a place seen from the tip is drawn
    towards it beyond `NEAR_M`, so that what is about to be touched counts most. Channels that
    are no place and no yaw are told as they are.
    """
    columns: dict[str, NDArray] = {n: privileged[:, i] for i, n in enumerate(names)}
    things = [n.removesuffix(".x") for n in names if n.endswith(".x")]
    things = [thing for thing in things if {f"{thing}.y", f"{thing}.z"} <= set(names)]
    world_from_tip = kinematics.forward(joints_rad)  # (N, 4, 4)
    turned, tip = world_from_tip[:, :3, :3], world_from_tip[:, :3, 3]
    told = dict(columns)
    for thing in things:
        place = np.stack([columns[f"{thing}.{axis}"] for axis in "xyz"], axis=1)
        seen = np.einsum("nji,nj->ni", turned, place - tip)
        seen = _drawn_near(seen)
        told |= {f"{thing}.tip_{axis}": seen[:, i] for i, axis in enumerate("xyz")}
    heading = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    for name in names:
        told |= _turn_from_tip(name, columns, heading)
    return Labels(tuple(told), np.stack(list(told.values()), axis=1).astype(np.float32))


def teach(
    backbone: nn.Module,
    look: Look,
    keys: Sequence[str],
    lesson: Lesson,
    teaching: Teaching,
    *,
    variant: str,
    device: str,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda *_: None,
) -> tuple[Seen, ...]:
    """Teach `backbone` (ACT's, with its batch normalisation frozen) to tell the labels.

    A fresh torchvision ResNet of the same `variant` learns from the rows that are not held out,
    with batch normalisation at work; its weights and its running statistics then become the
    backbone's. One small head a camera, dropped afterwards, reads the feature map. The first
    weights come from torch's global generator, the order of the rows from `seed`. Returns what
    each camera tells of the held-out rows. `report(step, loss)` is called about once a second.
    """
    taught = np.flatnonzero(~lesson.held_out)
    student = _Student(variant, look(taught[:2]), keys, lesson.labels.values[taught], device)
    _run(student, look, lesson, taught, teaching, seed, report)
    backbone.load_state_dict(student.backbone_state(backbone))
    return _check(student, look, lesson)


class _Student(nn.Module):
    """The network that is taught: a ResNet without its end, and a head a camera."""

    def __init__(
        self,
        variant: str,
        sample: Mapping[str, Tensor],
        keys: Sequence[str],
        values: NDArray[np.float32],
        device: str,
    ):
        super().__init__()
        resnet: Any = getattr(torchvision.models, variant)(weights=None)
        self.trunk = nn.Sequential()
        for name, part in resnet.named_children():
            if name not in ("avgpool", "fc"):
                self.trunk.add_module(name, part)
        self.keys, self._device = tuple(keys), device
        with torch.no_grad():
            sizes = [self.trunk(sample[key].cpu()).flatten(1).shape[1] for key in keys]
        self.heads = nn.ModuleList(_head(size, values.shape[1]) for size in sizes)
        self.mean = torch.from_numpy(values.mean(0)).to(device)
        self.std = torch.from_numpy(values.std(0) + SMALLEST_STD).to(device)
        self.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Mapping[str, Tensor]) -> list[Tensor]:
        """Standardised labels (B, L) from each camera's pictures, all of one size in one pass."""
        laid = [self._laid(pictures[key]) for key in self.keys]
        if len({x.shape for x in laid}) == 1:
            maps = self.trunk(torch.cat(laid)).chunk(len(laid))
        else:
            maps = [self.trunk(x) for x in laid]
        return [h(m.float().flatten(1)) for h, m in zip(self.heads, maps, strict=True)]

    def backbone_state(self, backbone: nn.Module) -> dict[str, Tensor]:
        """The trunk's weights under the names of ACT's backbone."""
        wanted = backbone.state_dict()
        return {name: value for name, value in self.trunk.state_dict().items() if name in wanted}

    def _laid(self, pictures: Tensor) -> Tensor:
        return pictures.to(self._device).contiguous(memory_format=torch.channels_last)


def _run(
    student: _Student,
    look: Look,
    lesson: Lesson,
    rows: NDArray[np.int64],
    teaching: Teaching,
    seed: int,
    report: Callable[[int, float], None],
) -> None:
    rng = np.random.default_rng([seed, len(rows)])
    values = torch.from_numpy(lesson.labels.values).to(student.mean.device)
    wanted = (values - student.mean) / student.std  # (N, L)
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=teaching.lr, weight_decay=teaching.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, teaching.lr, total_steps=teaching.steps, pct_start=0.1
    )
    losses: list[Tensor] = []
    told_s = time.monotonic()
    student.train()
    for step in range(1, teaching.steps + 1):
        drawn = np.sort(rng.choice(rows, teaching.batch_size))
        with torch.autocast(wanted.device.type, torch.bfloat16, enabled=teaching.bfloat16):
            told = student(look(drawn))
        target = wanted[torch.from_numpy(drawn)]
        loss = torch.stack([F.smooth_l1_loss(t.float(), target, beta=0.1) for t in told]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if time.monotonic() - told_s > REPORT_S or step == teaching.steps:
            mean = torch.stack(losses).mean().item()
            if not math.isfinite(mean):
                raise PolicyFault(f"teaching the backbone: the loss is {mean} at step {step}.")
            report(step, mean)
            losses, told_s = [], time.monotonic()


@torch.no_grad()
def _check(student: _Student, look: Look, lesson: Lesson) -> tuple[Seen, ...]:
    """What the pictures tell on the held-out rows, against the truth."""
    student.eval()
    rows = np.flatnonzero(lesson.held_out)
    pieces = np.array_split(rows, max(1, len(rows) // ROWS_AT_CHECK))
    told = [torch.stack(student(look(piece))) for piece in pieces if len(piece)]  # (C, B, L)
    values = (torch.cat(told, 1) * student.std + student.mean).cpu().numpy()
    error = np.abs(values - lesson.labels.values[rows])  # (C, N, L)
    median, worst = np.quantile(error, (0.5, 0.9), axis=1)
    names = lesson.labels.names
    return tuple(
        Seen(
            key,
            len(rows),
            dict(zip(names, median[i].tolist(), strict=True)),
            dict(zip(names, worst[i].tolist(), strict=True)),
        )
        for i, key in enumerate(student.keys)
    )


def _head(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def _drawn_near(place_m: NDArray[np.floating]) -> NDArray[np.floating]:
    """Places (N, 3) at most `NEAR_M` away: the direction stays, the distance is squashed."""
    away = np.linalg.norm(place_m, axis=1, keepdims=True) / NEAR_M
    return place_m * np.tanh(away) / np.maximum(away, 1e-9)


def _turn_from_tip(
    name: str, columns: Mapping[str, NDArray], heading_rad: NDArray
) -> dict[str, NDArray]:
    """A thing's yaw up to its symmetry, counted from the heading of the jaws."""
    parts = _TURN.fullmatch(name)
    if parts is None or parts[2] == "cos":
        return {}
    thing, times = parts[1], int(parts[3])
    yaw = np.arctan2(columns[name], columns[f"{thing}.cos{times}yaw"]) - times * heading_rad
    return {
        f"{thing}.tip_sin{times}yaw": np.sin(yaw),
        f"{thing}.tip_cos{times}yaw": np.cos(yaw),
    }
