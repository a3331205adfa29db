"""Train a recipe on a dataset, or go on with a run that was stopped."""

from __future__ import annotations

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from tyro.conf import Positional, UseAppendAction, arg

from vibrissa.core.errors import UsageError
from vibrissa.learn.recipes import RECIPES, Recipe, recipe_named

if TYPE_CHECKING:
    from vibrissa.data.dataset import Dataset
    from vibrissa.learn.meter import Progress
    from vibrissa.learn.sight import Lesson

ONLY_FRESH = ("batch_size", "lr", "save_every", "keep", "out", "backbone")
CACHE = Path("~/.cache/vibrissa/frames")


@dataclass(frozen=True)
class Config:
    """What to train, on what, and where to put it."""

    recipe: Annotated[Positional[str], arg(help=f"one of: {', '.join(RECIPES)}")] = ""
    """How to train."""
    dataset: Positional[Path | None] = None
    """The folder of a LeRobot v3.0 dataset."""
    out: Path | None = None
    """The run folder to make; it must not exist."""
    resume: Path | None = None
    """Go on with this run; recipe, dataset and seed are the run's own."""
    steps: int | None = None
    """How many steps, where the recipe's number does not suit."""
    batch_size: int | None = None
    """Samples a step, where the recipe's number does not suit."""
    lr: float | None = None
    """The highest learning rate."""
    seed: int = 0
    """Decides the first weights and the order of the samples."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    threads: int | None = None
    """CPU threads; all cores unless told."""
    save_every: int | None = None
    """A checkpoint every so many steps (0: only the last)."""
    keep: int | None = None
    """How many checkpoints stay."""
    backbone: str = ""
    """What a camera policy's backbone knows at first: taught (by the privileged pose of a
    simulated recording), imagenet (fetched once) or fresh; the recipe's own by default."""
    accept: UseAppendAction[tuple[str, ...]] = ()
    """Train in spite of a finding of `vibrissa data inspect` that may be meant, such as
    stale-statistics or not-following; give it again for another one."""
    cache: Path = field(default=CACHE)
    """Where decoded pictures are kept."""
    json: bool = False
    """Print a summary that a program can read."""


def run(cfg: Config) -> int:
    began_s = time.perf_counter()
    say = functools.partial(print, file=sys.stderr if cfg.json else None)
    with _drawn(quiet=cfg.json) as report:
        checkpoint = _resumed(cfg, say, report) if cfg.resume else _fresh(cfg, say, report)
    wall_s = time.perf_counter() - began_s
    if cfg.json:
        run_folder = checkpoint.parent.parent
        last = json.loads((run_folder / "metrics.jsonl").read_text().splitlines()[-1])
        summary = {"run": str(run_folder), "checkpoint": str(checkpoint), "wall_s": wall_s, **last}
        print(json.dumps(summary, indent=2))
    else:
        print(f"Trained in {wall_s:.0f} s. Checkpoint: {checkpoint}")
    return 0


def train_policy(
    recipe: Recipe,
    dataset: Path,
    out: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    resume: bool = False,
    accept: Sequence[str] = (),
    cache: Path = CACHE,
    say: Callable[[str], None] = print,
    report: Callable[[Progress], None] = lambda _: None,
    argv: Sequence[str] | None = None,
) -> Path:
    """Train `recipe` on the dataset into the run folder `out`; returns the last checkpoint.

    `resume` goes on with the run that is at `out`. `accept` names findings of the dataset's
    checks in spite of which it is trained. Raises UsageError, DatasetError, CheckpointError or
    PolicyFault; Ctrl-C leaves a checkpoint and goes up.
    """
    from vibrissa.data.cache import Pictures
    from vibrissa.data.checks import CHECKS, findings_of
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.depth import colours
    from vibrissa.data.findings import require_acceptable, require_trainable
    from vibrissa.data.loader import Loader, Sampling
    from vibrissa.learn import preflight
    from vibrissa.learn import run as runs
    from vibrissa.learn.act import inputs_of, used_contract
    from vibrissa.learn.backbone import told
    from vibrissa.learn.train import Job, train

    require_acceptable(CHECKS, accept)
    device = preflight.device_named(device)
    opened = open_dataset(dataset)
    features, depth = colours(opened.features)
    if depth:
        say(f"Recipe {recipe.name} sees no depth; left out: {', '.join(depth)}.")
    preflight.check_dataset(recipe, features, opened.frames)
    for warning in require_trainable(dataset, findings_of(opened), accept):
        say(f"warning: {warning}")
    inputs = inputs_of(recipe, features)
    contract = used_contract(opened.contract, inputs)
    lesson = _lesson(recipe, opened) if contract.cameras else None
    folder = runs.RunFolder.open(out) if resume else runs.RunFolder.create(out)
    if resume:
        preflight.check_resume(folder.manifest(), opened.digest)
    job = Job(recipe, dataset.resolve(), seed, device, threads)
    if not resume:
        folder.write_manifest(_manifest(job, opened, contract.to_dict(), accept, argv))
    say(f"Training {recipe.name} on {opened.frames} frames, device {device}.")
    sampling = Sampling(recipe.act.chunk_size, recipe.batch_size, seed)
    pictures = Pictures(cache.expanduser(), recipe.picture, _said(say))
    batches = Loader(opened, inputs, sampling, pictures)
    checkpoint = train(job, batches, contract, folder, lesson=lesson, report=report)
    for line in told(folder):
        say(line)
    return checkpoint


def _lesson(recipe: Recipe, dataset: Dataset) -> Lesson | None:
    """What a backbone can be taught of this dataset; the last episodes only check it."""
    from vibrissa.data.features import PRIVILEGED, STATE, from_stored
    from vibrissa.learn.sight import Lesson, labels_of

    if recipe.start != "taught" or not dataset.contract.privileged:
        return None
    if len(dataset.episodes) < 2:
        raise UsageError(
            f"{dataset.root} has one episode: a backbone is taught by some and checked on others. "
            "Record more, or give --backbone fresh."
        )
    joints = from_stored(dataset.contract, dataset.column(STATE))
    names = [channel.name for channel in dataset.contract.privileged]
    labels = labels_of(names, dataset.column(PRIVILEGED), joints)
    checked = max(1, round(recipe.teaching.held_out * len(dataset.episodes)))
    first = dataset.rows(dataset.episodes[-checked].index).start
    return Lesson(labels, np.arange(dataset.frames) >= first)


def _manifest(
    job: Any, dataset: Any, contract: dict, accept: Sequence[str], argv: Sequence[str] | None
) -> dict[str, Any]:
    from vibrissa.learn.run import provenance

    return {
        "argv": list(sys.argv if argv is None else argv),
        "recipe": job.recipe.to_dict(),
        "contract": contract,
        "dataset": {
            "path": str(job.dataset),
            "digest": dataset.digest,
            "episodes": len(dataset.episodes),
            "frames": dataset.frames,
            "accepted": list(accept),
        },
        "seed": job.seed,
        "device": job.device,
        "threads": job.threads,
        **provenance(),
    }


def _fresh(cfg: Config, say: Callable[[str], None], report: Callable[[Progress], None]) -> Path:
    recipe = recipe_named(
        cfg.recipe,
        steps=cfg.steps,
        batch_size=cfg.batch_size,
        lr=cfg.lr,
        save_every=cfg.save_every,
        keep=cfg.keep,
        start=cfg.backbone or None,
    )
    if cfg.dataset is None or cfg.out is None:
        raise UsageError(
            "say what to train on and where to: vibrissa train RECIPE DATASET --out RUN"
        )
    return train_policy(
        recipe,
        cfg.dataset,
        cfg.out,
        seed=cfg.seed,
        device=cfg.device,
        threads=cfg.threads,
        accept=cfg.accept,
        cache=cfg.cache,
        say=say,
        report=report,
    )


def _resumed(cfg: Config, say: Callable[[str], None], report: Callable[[Progress], None]) -> Path:
    from vibrissa.learn.run import RunFolder
    from vibrissa.learn.train import stretched

    assert cfg.resume is not None
    changed = [n for n in ONLY_FRESH if getattr(cfg, n)]
    if changed:
        raise UsageError(
            f"--resume keeps the run as it is, so it takes no {', '.join(changed)}; "
            "only --steps may change."
        )
    folder = RunFolder.open(cfg.resume)
    manifest = folder.manifest()
    recipe = stretched(manifest, cfg.steps)
    if cfg.recipe not in ("", recipe.name):
        raise UsageError(f"{cfg.resume} was begun with recipe {recipe.name}, not {cfg.recipe}.")
    last = folder.last()
    say(f"Going on from {last}." if last else f"{cfg.resume} has no checkpoint: starting afresh.")
    return train_policy(
        recipe,
        cfg.dataset or Path(manifest["dataset"]["path"]),
        cfg.resume,
        seed=manifest["seed"],
        device=cfg.device,
        threads=cfg.threads,
        resume=True,
        accept=(*manifest["dataset"].get("accepted", ()), *cfg.accept),
        cache=cfg.cache,
        say=say,
        report=report,
    )


def _said(say: Callable[[str], None]) -> Callable[[str, int, int], None]:
    """Says once per camera that its pictures are being decoded, and when that is done."""

    def told(camera: str, done: int, total: int) -> None:
        if done == total:
            say(f"Decoded {total} pictures of {camera}; they are kept for the next run.")

    return told


@contextmanager
def _drawn(*, quiet: bool):
    """A callback that draws progress: a bar on a terminal, lines elsewhere, or nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console()
    if quiet or not console.is_terminal:
        yield (lambda _: None) if quiet else (lambda p: print(_line(p), flush=True))
        return
    with Bar(BarColumn(), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda p: bar.update(task, total=p.steps, completed=p.step, description=_line(p))


def _line(p: Progress) -> str:
    left = f"{int(p.left_s) // 60}:{int(p.left_s) % 60:02d} left"
    if p.stage != "policy":
        loss = "" if math.isnan(p.loss) else f"  loss {p.loss:.4f}"
        return f"{p.stage} {p.step}/{p.steps}{loss}  {1 / p.update_s:.1f} a second  {left}"
    return (
        f"step {p.step}/{p.steps}  loss {p.loss:.4f}  gradient {p.grad_norm:.2f}  lr {p.lr:.1e}  "
        f"update {p.update_s * 1e3:.0f} ms  data {p.data_s * 1e3:.1f} ms  {left}"
    )
