"""The lean loss is ACT's own loss: same outputs, same gradients, on the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy

from vibrissa.learn.lean import MAP, is_lean, lean_actions, lean_loss


def policy(**changes: Any) -> ACTPolicy:
    torch.manual_seed(3)
    inputs = {
        "observation.state": PolicyFeature(FeatureType.STATE, (6,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (3,)),
    }
    sizes = {"dim_model": 32, "n_heads": 4, "dim_feedforward": 48, "n_encoder_layers": 2}
    plain = {
        "input_features": inputs,
        "use_vae": False,
        "dropout": 0.0,
        "latent_dim": 8,
        "chunk_size": 12,
    }
    config = ACTConfig(
        output_features={"action": PolicyFeature(FeatureType.ACTION, (6,))},
        pretrained_backbone_weights=None,
        device="cpu",
        n_action_steps=6,
        **{**sizes, **plain, **changes},
    )
    made = ACTPolicy(config).train()
    for name, parameter in made.named_parameters():  # biases too: they start at zero
        if "backbone" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return made


def seeing(privileged: bool) -> ACTPolicy:
    """The same with two cameras; the backbone keeps its own first weights."""
    torch.manual_seed(4)
    eyes = {f"observation.images.{n}": (3, 64, 32) for n in ("one", "two")}
    inputs = {"observation.state": PolicyFeature(FeatureType.STATE, (6,))}
    if privileged:
        inputs["observation.environment_state"] = PolicyFeature(FeatureType.ENV, (3,))
    inputs |= {key: PolicyFeature(FeatureType.VISUAL, shape) for key, shape in eyes.items()}
    return policy(input_features=inputs)


def batch(size: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    pad = torch.zeros(size, 12, dtype=torch.bool)
    pad[0, 7:] = True
    return {
        "observation.state": torch.randn(size, 6, generator=generator),
        "observation.environment_state": torch.randn(size, 3, generator=generator),
        "action": torch.randn(size, 12, 6, generator=generator),
        "action_is_pad": pad,
    }


def test_loss_and_every_gradient_equal_those_of_lerobot() -> None:
    ours, theirs = policy(), policy()
    lean = lean_loss(ours.model, batch(), slice(None))
    stock, _ = theirs.forward(batch())
    lean.backward()
    stock.backward()
    torch.testing.assert_close(lean, stock, rtol=1e-5, atol=1e-6)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if b.grad is None or not b.grad.abs().max() > 1e-6:
            assert a.grad is None or a.grad.abs().max() < 1e-5, name  # no influence on the loss
        else:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("privileged", [True, False])
@pytest.mark.parametrize("ready", [True, False])
def test_cameras_too(privileged: bool, ready: bool) -> None:
    """From pictures, and from the feature maps that a frozen backbone made of them before."""
    ours, theirs = seeing(privileged), seeing(privileged)
    pictures = {f"observation.images.{n}": torch.randn(5, 3, 64, 32) for n in ("one", "two")}
    seen = {**batch(), **pictures}
    stock, _ = theirs.forward(seen)
    stock.backward()
    if ready:
        with torch.no_grad():
            maps = {k + MAP: ours.model.backbone(v)["feature_map"] for k, v in pictures.items()}
        seen = {**batch(), **maps}
    lean = lean_loss(ours.model, seen, slice(None))
    lean.backward()
    torch.testing.assert_close(lean, stock, rtol=1e-5, atol=1e-6)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if ready and name.startswith("model.backbone."):
            assert a.grad is None
        elif b.grad is not None and b.grad.abs().max() > 1e-6:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-2, atol=1e-4, msg=name)


def test_a_part_of_the_places_is_that_part_of_the_chunk() -> None:
    model = policy().model
    whole, _ = model(batch())
    for places in (slice(0, None, 5), slice(4, None, 5), slice(2, 9, 3)):
        torch.testing.assert_close(lean_actions(model, batch(), places), whole[:, places])


def test_it_declines_what_it_cannot_compute() -> None:
    assert is_lean(policy().config)
    for changes in (
        {"use_vae": True},
        {"dropout": 0.1},
        {"n_decoder_layers": 2},
        {"pre_norm": True},
    ):
        assert not is_lean(policy(**changes).config), changes


@pytest.mark.parametrize("size", [1, 7])
def test_a_chunk_of_padding_alone_costs_nothing(size: int) -> None:
    given = batch(size)
    given["action_is_pad"][:] = True
    assert lean_loss(policy().model, given, slice(None)).item() == 0.0
