"""Training: batches in, checkpoints and a line of numbers now and then out."""

from __future__ import annotations

import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lerobot.optim.schedulers import CosineDecayWithWarmupSchedulerConfig
from lerobot.utils.random_utils import get_rng_state, set_rng_state
from numpy.typing import NDArray
from torch import Tensor

from vibrissa.core.contract import Contract
from vibrissa.core.errors import PolicyFault, UsageError
from vibrissa.learn import checkpoint, preflight
from vibrissa.learn.act import Features, Learner, Stats, new_learner
from vibrissa.learn.backbone import NO_LESSON, prepare
from vibrissa.learn.checkpoint import State
from vibrissa.learn.lean import is_lean, lean_loss
from vibrissa.learn.maps import FeatureMaps
from vibrissa.learn.meter import Meter, Progress, staged
from vibrissa.learn.recipes import Recipe
from vibrissa.learn.run import RunFolder
from vibrissa.learn.sight import Lesson, Seen, teach


class Batches(Protocol):
    """What training needs of a dataset; `data.loader` gives it.

    `features` and `stats` speak of exactly what is fed. `rows(step)` is a function of the step
    alone: the same step gives the same samples, today and after a resume. `gather` gives them,
    without the pictures if those are not wanted.
    """

    @property
    def features(self) -> Features: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def frames(self) -> int: ...

    def rows(self, step: int) -> NDArray[np.int64]: ...
    def gather(self, rows: NDArray[np.int64], *, pictures: bool = True) -> dict[str, Tensor]: ...
    def sampler(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Job:
    """One training run as it was asked for."""

    recipe: Recipe
    dataset: Path
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None


def train(
    job: Job,
    batches: Batches,
    contract: Contract,
    run: RunFolder,
    *,
    lesson: Lesson | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train to the recipe's last step, from the run's last checkpoint if it has one.

    `contract` says what the batches' numbers mean and goes into every checkpoint. `lesson` is
    what a backbone can be taught first (see `sight`). Returns the last checkpoint. Ctrl-C ends
    the step at hand, writes a checkpoint and goes on up as KeyboardInterrupt. Raises PolicyFault,
    naming the step, when the loss is not finite.
    """
    with _own_randomness(job.seed), _threads(job.threads), _interruptible() as interrupted:
        trainer = _Trainer(job, batches, contract, run)
        trainer.prepare(lesson, report, interrupted)
        trainer.go(report, interrupted)
    last = run.last()
    assert last is not None
    return last


class _Trainer:
    """A network on its way: it holds what a step changes."""

    def __init__(self, job: Job, batches: Batches, contract: Contract, run: RunFolder):
        self._job, self._batches, self._contract, self._run = job, batches, contract, run
        recipe = job.recipe
        self._learner = new_learner(recipe, batches.features, batches.stats, contract, job.device)
        model = self._learner.policy
        preflight.check_disk(run.path, sum(p.nbytes for p in model.parameters()), recipe)
        self._lean = is_lean(model.config)
        if (recipe.stride > 1 or recipe.frozen) and not self._lean:
            raise UsageError(
                "a stride above 1 and a frozen backbone need ACT with one decoder layer, "
                "without VAE and dropout."
            )
        if recipe.frozen:
            model.model.backbone.requires_grad_(False)
        self._maps: FeatureMaps | None = None
        self._state = _state(self._learner, recipe)
        self._step = self._restore(run.last())
        run.drop_metrics_after(self._step)

    def prepare(
        self,
        lesson: Lesson | None,
        report: Callable[[Progress], None],
        interrupted: threading.Event,
    ) -> None:
        """What comes before the first step: the backbone's start, a frozen one's feature maps."""
        job, model = self._job, self._learner.policy
        keys = tuple(model.config.image_features)
        if not keys or self._step == job.recipe.steps:
            return
        if self._step == 0:

            def held() -> tuple[Seen, ...]:
                if lesson is None:
                    raise UsageError(NO_LESSON)
                return teach(
                    model.model.backbone,
                    self._look,
                    keys,
                    lesson,
                    job.recipe.teaching,
                    variant=job.recipe.act.vision_backbone,
                    device=job.device,
                    seed=job.seed,
                    report=staged("backbone", job.recipe.teaching.steps, report, interrupted),
                )

            prepare(model.model.backbone, job.recipe, self._run, held)
        if job.recipe.frozen:
            tell = staged("pictures", self._batches.frames, report, interrupted)
            self._maps = FeatureMaps(
                model.model.backbone,
                keys,
                self._batches.frames,
                self._look,
                lambda done, _: tell(done, math.nan),
            )

    def go(self, report: Callable[[Progress], None], interrupted: threading.Event) -> None:
        recipe, meter = self._job.recipe, Meter(self._job.recipe, self._step)
        self._learner.policy.train()
        while self._step < recipe.steps:
            meter.add(*self._update())
            self._step += 1
            done = self._step == recipe.steps
            if self._step % recipe.log_every == 0 or done:
                samples = self._step * recipe.batch_size
                lr = float(self._state.scheduler.get_last_lr()[0])
                progress = meter.progress(self._step, lr, samples / self._batches.frames)
                self._run.add_metrics(asdict(progress))
                report(progress)
            if done or (recipe.save_every and self._step % recipe.save_every == 0):
                self._save()
            if interrupted.is_set():
                self._save()
                raise KeyboardInterrupt

    def _update(self) -> tuple[Tensor, Tensor, float, float]:
        """One step: the loss, the gradient's norm, seconds for the update and for the data."""
        recipe, state = self._job.recipe, self._state
        began_s = time.perf_counter()
        batch = self._batch()
        loaded_s = time.perf_counter()
        if self._lean:
            places = slice(self._step % recipe.stride, None, recipe.stride)
            loss = lean_loss(self._learner.policy.model, batch, places)
        else:
            loss, _ = self._learner.policy.forward(batch)
        self._check_finite("loss", loss)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._learner.policy.parameters(), recipe.grad_clip)
        self._check_finite("gradient's norm", norm)
        state.optimizer.step()
        state.scheduler.step()
        return loss.detach(), norm, time.perf_counter() - loaded_s, loaded_s - began_s

    def _batch(self) -> dict[str, Tensor]:
        """This step's samples, preprocessed; feature maps in place of pictures, where they are."""
        rows, maps = self._batches.rows(self._step), self._maps
        if maps is None:
            return self._learner.preprocessor(self._batches.gather(rows))
        ready = self._learner.preprocessor(self._batches.gather(rows, pictures=False))
        return {**ready, **maps.at(rows, self._job.device)}

    def _look(self, rows: NDArray[np.int64]) -> Mapping[str, Tensor]:
        """These rows' pictures as the network gets them."""
        return self._learner.preprocessor(self._batches.gather(rows))

    def _check_finite(self, what: str, value: Tensor) -> None:
        if math.isfinite(value.item()):
            return
        last = self._run.last()
        raise PolicyFault(
            f"the {what} is {value.item()} at step {self._step + 1}; the weights were left as "
            f"they were. Last checkpoint: {last or 'none'}. Look at the dataset "
            "(vibrissa data inspect) or give a smaller --lr."
        )

    def _save(self) -> None:
        job = self._job

        def write(folder: Path) -> None:
            checkpoint.save(
                folder,
                self._step,
                self._learner,
                self._state,
                contract=self._contract,
                recipe=job.recipe,
                dataset=job.dataset,
                sampler=self._batches.sampler(),
                seed=job.seed,
            )

        self._run.add_checkpoint(self._step, write, job.recipe.keep)

    def _restore(self, last: Path | None) -> int:
        """Go back to this checkpoint; the step it was made at, 0 where there is none."""
        if last is None:
            return 0
        step, sampler = checkpoint.restore(last, self._learner, self._state)
        wanted = {"step": step, **self._batches.sampler()}
        if sampler != wanted:
            raise UsageError(
                f"{last} was sampled as {sampler}, and this run asks for {wanted}: a resumed run "
                "keeps its data, its seed and its batch size."
            )
        return step


def _state(learner: Learner, recipe: Recipe) -> State:
    parameters = [p for p in learner.policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = CosineDecayWithWarmupSchedulerConfig(
        peak_lr=recipe.lr,
        decay_lr=0.0,
        num_warmup_steps=min(recipe.warmup, recipe.steps // 2),
        num_decay_steps=recipe.steps,
    )
    return State(optimizer, schedule.build(optimizer, recipe.steps))


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch's global generator, and leave everybody's as they were."""
    before = get_rng_state()
    random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_rng_state(before)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one interrupts as ever.

    Only the main thread can catch signals; elsewhere the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def first(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def stretched(manifest: Mapping[str, Any], steps: int | None) -> Recipe:
    """The recipe of an existing run; `steps`, where given, stretches its schedule."""
    recipe = Recipe.from_dict(manifest["recipe"])
    return replace(recipe, steps=steps or recipe.steps)
