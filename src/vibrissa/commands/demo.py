"""From nothing to a judged policy: demonstrations, training, judgement, a report.

Stop it whenever you like: the same command goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibrissa.commands import eval as judging
from vibrissa.core.errors import UsageError
from vibrissa.core.seeds import HELD_OUT

if TYPE_CHECKING:
    from vibrissa.bench.ledger import Ledger
    from vibrissa.bench.page import Judged
    from vibrissa.learn.meter import Progress
    from vibrissa.learn.recipes import Recipe

OUTCOMES = "outcomes.jsonl"
SEEDS_APART = 10_000  # demonstrations of training seed k come from seeds k × 10,000 upwards


@dataclass(frozen=True)
class Config:
    out: Path
    """Where everything goes; a demo that was stopped there is gone on with."""
    task: str = "pick-place"
    """pick-place, lift, stack, line, or a file of your own such as my-task.yaml."""
    demonstrations: int = 200
    """How many of the expert's successes are recorded."""
    vision: bool = False
    """Learn from the task's cameras, small, in place of the simulator's knowledge of the block."""
    camera_size: tuple[int, int] = (96, 96)
    """Width and height of the pictures, with --vision."""
    randomise: str = "none"
    """What varies, in demonstrations and in judgement: none, light or strong."""
    seed: int = 0
    """Decides the demonstrations, the first weights and the order of the samples."""
    episodes: int = 50
    """How many held-out scenes judge the policy."""
    recipe: str = ""
    """The recipe; act-state, or act with --vision, unless given."""
    steps: int | None = None
    """Training steps, where the recipe's number does not suit."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    json: bool = False
    """Print report.json on stdout at the end; progress stays on stderr."""


def run(cfg: Config) -> int:
    from vibrissa.bench.judge import BESIDE
    from vibrissa.bench.ledger import Ledger
    from vibrissa.bench.outcomes import RowFile

    recipe = _recipe(cfg)
    settings = {k: v for k, v in asdict(cfg).items() if k not in ("out", "json")}
    ledger = Ledger(
        cfg.out / "demo.json", {**settings, "recipe": recipe.name, "scene": _scene_digest(cfg)}
    )
    page = cfg.out / "report.html"
    try:
        if not (ledger.done("report") and page.is_file()):
            _all_phases(cfg, recipe, ledger)
    except KeyboardInterrupt:
        say(f"vibrissa: stopped. The same command goes on from here: {_command(cfg)}")
        raise
    if cfg.json:
        print((cfg.out / "report.json").read_text(encoding="utf-8"), end="")
    else:
        file = RowFile(cfg.out / OUTCOMES)
        beside = {name: file.of(name) for name in BESIDE}
        print("\n".join([*judging.lines(file.of("policy"), beside), f"report  {page}"]))
    return 0


def _all_phases(cfg: Config, recipe: Recipe, ledger: Ledger) -> None:
    """Every phase that is not done yet, up to the report."""
    from vibrissa.bench.page import compose, film
    from vibrissa.bench.report import write
    from vibrissa.bench.source import demo_again, never_seen

    _record(cfg, ledger)
    checkpoint = _train(cfg, recipe, ledger)
    judged = _judge(cfg, checkpoint, ledger)
    with ledger.phase("film"):
        films = film(judged)
    page = compose(
        judged,
        title="demo",
        films=films,
        seconds=ledger.seconds,
        wall_s=ledger.wall_s,
        unseen=never_seen(checkpoint, [row.seed for row in judged.rows]),
        settings=_told(cfg, recipe),
        command=_command(cfg),
        first="demonstration",
    )
    with ledger.phase("report"):
        again = demo_again(cfg.out, cfg.task, cfg.randomise)
        why = f"vibrissa failures {shlex.quote(str(cfg.out))}"
        write(replace(page, again=again, why=why), cfg.out)


def _record(cfg: Config, ledger: Ledger) -> None:
    """The expert's demonstrations. A recording that was stopped is begun again: it is short."""
    from vibrissa.commands import record

    if ledger.done("record"):
        return
    out = _dataset(cfg)
    for left in (out, *cfg.out.glob(f".{out.name}.partial-*")):
        if left.exists():
            say(f"{left} was not finished: recording it afresh.")
            shutil.rmtree(left)
    with ledger.phase("record"):
        recorded = record.record(
            record.Config(
                out,
                task=cfg.task,
                episodes=cfg.demonstrations,
                seeds=cfg.seed * SEEDS_APART,
                cameras=_cameras(cfg) if cfg.vision else (),
                camera_size=cfg.camera_size if cfg.vision else None,
                randomise=cfg.randomise,
            )
        )
    say(recorded.told())


def _train(cfg: Config, recipe: Recipe, ledger: Ledger) -> Path:
    """The run's last checkpoint, trained as far as the recipe goes."""
    from vibrissa.commands.train import train_policy
    from vibrissa.learn.run import MANIFEST
    from vibrissa.show.progress import stages

    run = cfg.out / "run"
    if ledger.done("train"):
        return run
    begun = (run / MANIFEST).is_file()
    if run.exists() and not begun:
        shutil.rmtree(run)  # stopped between the folder and its first file
    with ledger.phase("train"), stages() as tell:
        train_policy(
            recipe,
            _dataset(cfg),
            run,
            seed=cfg.seed,
            device=cfg.device,
            resume=begun,
            cache=cfg.out / "cache",
            say=say,
            report=lambda p: tell(*_told_stage(p, recipe.name)),
            argv=shlex.split(_command(cfg)),
        )
    return run


def _told_stage(p: Progress, recipe: str) -> tuple[str, int, int, str, str]:
    """What a bar shows of training, and of what comes before its first step."""
    names = {"backbone": "teaching the backbone", "pictures": "looking at all pictures"}
    what = names.get(p.stage, f"training {recipe}")
    unit = "rows" if p.stage == "pictures" else "steps"
    return what, p.step, p.steps, unit, "" if math.isnan(p.loss) else f"loss {p.loss:.4f}"


def _judge(cfg: Config, checkpoint: Path, ledger: Ledger) -> Judged:
    """Policy, expert and zero pilot on the held-out seeds; what was judged before is kept."""
    from vibrissa.bench.judge import judge, judge_beside
    from vibrissa.bench.outcomes import RowFile
    from vibrissa.bench.page import Judged
    from vibrissa.bench.setups import SLOTS, learnt, place_for
    from vibrissa.learn.policy import load_policy
    from vibrissa.learn.preflight import device_named

    file = RowFile(cfg.out / OUTCOMES)
    if file.cut:
        say(f"warning {file.cut}")
    seeds = range(HELD_OUT, HELD_OUT + cfg.episodes)
    with ledger.phase("judge"):
        policy = load_policy(checkpoint, slots=SLOTS, device=device_named(cfg.device))
        place = place_for(policy.contract, task=cfg.task, randomise=cfg.randomise)
        setup = learnt(place, policy)
        rows = judge(setup, seeds, known=file.rows, keep=file.add)
        beside = judge_beside(place, seeds, known=file.rows, keep=file.add)
    return Judged(place, setup, rows, beside, checkpoint)


def _recipe(cfg: Config) -> Recipe:
    """The recipe as asked for. Raises UsageError for what makes no sense, before all work."""
    from vibrissa.learn.recipes import recipe_named
    from vibrissa.sim.randomise import preset

    last = cfg.seed * SEEDS_APART + 3 * cfg.demonstrations
    if cfg.demonstrations < 1 or cfg.episodes < 1 or cfg.seed < 0:
        raise UsageError("--demonstrations and --episodes must be at least 1, --seed at least 0.")
    if last >= HELD_OUT or 3 * cfg.demonstrations > SEEDS_APART:
        raise UsageError(
            f"--seed {cfg.seed} with {cfg.demonstrations} demonstrations would reach into other "
            f"seeds: at most --seed {HELD_OUT // SEEDS_APART - 1} and "
            f"--demonstrations {SEEDS_APART // 3}."
        )
    preset(cfg.randomise)
    if cfg.vision:
        from vibrissa.sim import gl

        gl.require()
    return recipe_named(cfg.recipe or ("act" if cfg.vision else "act-state"), steps=cfg.steps)


def _scene_digest(cfg: Config) -> str:
    """Changes with the scene, so that a demo is not gone on with after its file was edited."""
    from vibrissa.sim.tasks import task_named

    told = json.dumps(task_named(cfg.task).scene.to_dict(), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _cameras(cfg: Config) -> tuple[str, ...]:
    from vibrissa.sim.tasks import task_named

    return tuple(camera.name for camera in task_named(cfg.task).scene.cameras)


def _told(cfg: Config, recipe: Recipe) -> Mapping[str, Any]:
    """The settings as the report shows them."""
    act = recipe.act
    return {
        "task": cfg.task,
        "demonstrations": cfg.demonstrations,
        "recipe": f"{recipe.name}: {recipe.about}",
        "training": f"{recipe.steps} steps of {recipe.batch_size}, lr {recipe.lr:g}",
        "network": f"width {act.dim_model}, chunk {act.chunk_size}, {act.n_action_steps} executed",
        "randomised": cfg.randomise,
        "seed": cfg.seed,
        "demonstrations' seeds": f"from {cfg.seed * SEEDS_APART}",
        "held-out seeds": f"{HELD_OUT} to {HELD_OUT + cfg.episodes - 1}",
        "device": cfg.device,
    }


def say(line: str) -> None:
    """Progress goes to stderr: stdout is for the result."""
    print(line, file=sys.stderr, flush=True)


def _dataset(cfg: Config) -> Path:
    return cfg.out / "demonstrations"


def _command(cfg: Config) -> str:
    """The command line that asks for this."""
    words = ["vibrissa", "demo", "--out", str(cfg.out)]
    usual = asdict(Config(cfg.out))
    for name, value in asdict(cfg).items():
        if name not in ("out", "json") and value != usual[name]:
            flag = f"--{name.replace('_', '-')}"
            given = value if isinstance(value, tuple) else (value,)
            words += [flag] if value is True else [flag, *map(str, given)]
    return shlex.join(words)
