"""The recipes: everything that decides a training run, by name, in plain sight."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from vibrissa.core.errors import UsageError

Inputs = Literal["privileged", "cameras", "any"]
Start = Literal["fresh", "taught", "imagenet"]
STARTS: tuple[Start, ...] = ("fresh", "taught", "imagenet")


@dataclass(frozen=True)
class ActSize:
    """The sizes of LeRobot's ACT (https://arxiv.org/abs/2304.13705), under its own names."""

    chunk_size: int = 50
    n_action_steps: int = 25
    dim_model: int = 128
    n_heads: int = 8
    dim_feedforward: int = 512
    n_encoder_layers: int = 3
    n_decoder_layers: int = 1
    use_vae: bool = False
    latent_dim: int = 32
    dropout: float = 0.0
    vision_backbone: str = "resnet18"


@dataclass(frozen=True)
class Teaching:
    """How a backbone is taught to see (see `sight`): batches of `batch_size` of each camera.

    held_out: the share of the episodes that only checks it. bfloat16: the convolutions count in
    it, which takes half the time on processors that have it and changes the result a little.
    """

    steps: int = 2500
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-2
    held_out: float = 0.05
    bfloat16: bool = True


@dataclass(frozen=True)
class Recipe:
    """One complete way to train: what goes in, the network, the optimiser, how long.

    inputs: "privileged" sees the joints and the simulator's truth (openly named so), "cameras"
    the joints and pictures, "any" whatever the dataset has. picture: (height, width) to which
    pictures are resized, a saved step of the preprocessor. stride: one step of training looks
    at every stride-th action of a chunk, at a place that shifts from step to step. start: what
    the backbone knows at first, nothing, what `teaching` taught it, or ImageNet. frozen: it
    stays as it is, so that every picture passes through it once and not at every step.
    """

    name: str
    about: str
    inputs: Inputs
    steps: int
    batch_size: int
    lr: float
    act: ActSize = field(default_factory=ActSize)
    weight_decay: float = 1e-4
    grad_clip: float = 10.0
    warmup: int = 100
    save_every: int = 1000
    log_every: int = 50
    keep: int = 3
    picture: tuple[int, int] | None = None
    stride: int = 1
    start: Start = "fresh"
    teaching: Teaching = field(default_factory=Teaching)
    frozen: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def disk_need(self, model_bytes: int) -> tuple[int, int]:
        """How many checkpoints of a run lie on the disk at once, at the most, and bytes of one.

        A checkpoint holds the weights and two moments of each; one more is being written.
        """
        count = min(self.keep, self.steps // (self.save_every or self.steps) + 1) + 1
        return count, 3 * model_bytes + 1_000_000

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> Recipe:
        """The inverse of `to_dict`, from JSON."""
        picture = tuple(raw["picture"]) if raw.get("picture") else None
        parts = {"act": ActSize(**raw["act"]), "picture": picture}
        if "teaching" in raw:  # runs from before there was any have none
            parts["teaching"] = Teaching(**raw["teaching"])
        return Recipe(**{**raw, **parts})


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="act-state",
            about="ACT from joint positions and the privileged pose of the block, on a CPU",
            inputs="privileged",
            steps=5000,
            batch_size=64,
            lr=2e-3,
            # One layer generalises from 200 demonstrations better than three, and costs less.
            act=ActSize(n_encoder_layers=1),
            stride=5,
        ),
        Recipe(
            name="act",
            about="ACT from joint positions and cameras, with a backbone that was taught to see",
            inputs="cameras",
            steps=10000,
            batch_size=64,
            lr=1e-3,
            act=ActSize(n_encoder_layers=1),
            picture=(96, 96),
            stride=5,
            start="taught",
            frozen=True,
        ),
        Recipe(
            name="act-full",
            about="the same at full size and learning to the end, for a CUDA GPU",
            inputs="cameras",
            steps=30000,
            batch_size=32,
            lr=1e-4,
            act=ActSize(dim_model=512, dim_feedforward=2048, n_encoder_layers=4),
            warmup=500,
            save_every=5000,
            log_every=100,
            start="taught",
            teaching=Teaching(steps=6000),
        ),
        Recipe(
            name="debug",
            about="a tiny ACT for a few seconds: to see that everything fits together",
            inputs="any",
            steps=20,
            batch_size=8,
            lr=1e-3,
            act=ActSize(
                chunk_size=10,
                n_action_steps=5,
                dim_model=32,
                n_heads=4,
                dim_feedforward=64,
                n_encoder_layers=1,
            ),
            warmup=2,
            save_every=10,
            log_every=5,
            picture=(32, 32),
        ),
    )
}


def recipe_named(name: str, **changes: Any) -> Recipe:
    """The recipe of this name, with the given fields (where not None) changed.

    Raises UsageError for an unknown name, listing what exists, and for impossible numbers.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}. There is: {', '.join(RECIPES)}.")
    recipe = replace(RECIPES[name], **{k: v for k, v in changes.items() if v is not None})
    if recipe.start not in STARTS:
        raise UsageError(f"no backbone {recipe.start!r}. There is: {', '.join(STARTS)}.")
    for what in ("steps", "batch_size", "lr", "log_every"):
        if not getattr(recipe, what) > 0:
            raise UsageError(f"{what} {getattr(recipe, what)}: it must be above 0.")
    if recipe.save_every < 0 or recipe.keep < 1:
        raise UsageError(
            f"save every {recipe.save_every} steps, keep {recipe.keep}: "
            "want 0 (only at the end) or more, and at least 1 to keep."
        )
    return recipe
