"""ACT's own training loss, without what it computes alike for every sample of a batch.

LeRobot's ACT decoder starts from zeros. Its first self-attention therefore sees values that
are all the same bias and can only give one constant, whatever the queries; and the queries of
the cross-attention depend on the place in the chunk alone. With one decoder layer (ACT's
default) each place in the chunk is then computed by itself, so that a training step can also
look at a part of the places. All this is exact algebra on LeRobot's own weights: the test
compares outputs and gradients with `ACTPolicy.forward`. On a CPU it is some four times faster.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACT, ACTDecoderLayer
from torch import Tensor, nn

STATE, ENVIRONMENT = "observation.state", "observation.environment_state"
MAP = ".feature_map"  # behind a camera's key: what the backbone made of its picture, (B, C, h, w)


def is_lean(config: ACTConfig) -> bool:
    """Whether `lean_loss` computes what `ACTPolicy.forward` does under this configuration."""
    return (
        not config.use_vae
        and config.n_decoder_layers == 1
        and not config.pre_norm
        and config.dropout == 0
    )


def lean_loss(model: ACT, batch: dict[str, Tensor], places: slice) -> Tensor:
    """The L1 loss of `ACTPolicy.forward` over these `places` of the chunk."""
    target = batch["action"][:, places]  # (B, P, A)
    valid = ~batch["action_is_pad"][:, places].unsqueeze(-1)  # (B, P, 1)
    error = (target - lean_actions(model, batch, places)).abs() * valid
    return error.sum() / (valid.sum() * target.shape[-1]).clamp_min(1)


def lean_actions(model: ACT, batch: dict[str, Tensor], places: slice) -> Tensor:
    """The actions (B, P, A) that `model` gives for these `places` of the chunk."""
    tokens, positions = _encoded(model, batch)  # (T, B, D), (T, 1, D)
    layer = cast(ACTDecoderLayer, model.decoder.layers[0])
    start = layer.norm1(_constant_attention(layer.self_attn))  # (D,)
    queries = start + model.decoder_pos_embed.weight[places]  # (P, D)
    seen = _cross_attention(layer.multihead_attn, queries, tokens + positions, tokens)
    x = layer.norm2(start + seen)
    x = layer.norm3(x + layer.linear2(layer.activation(layer.linear1(x))))
    return model.action_head(model.decoder.norm(x))


def _encoded(model: ACT, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The encoder's output (T, B, D) and the positions of its tokens (T, 1, D)."""
    config, size = model.config, len(batch["action"])
    tokens = [model.encoder_latent_input_proj.bias.expand(1, size, -1)]  # the latent is 0
    if config.robot_state_feature:
        tokens.append(model.encoder_robot_state_input_proj(batch[STATE]).unsqueeze(0))
    if config.env_state_feature:
        tokens.append(model.encoder_env_state_input_proj(batch[ENVIRONMENT]).unsqueeze(0))
    positions = [model.encoder_1d_feature_pos_embed.weight.unsqueeze(1)]
    for key in config.image_features:
        seen = _seen(model, batch, key)
        positions.append(_by_place(model.encoder_cam_feat_pos_embed(seen)))
        tokens.append(_by_place(model.encoder_img_feat_input_proj(seen)))
    place = torch.cat(positions)
    return model.encoder(torch.cat(tokens), pos_embed=place), place


def _seen(model: ACT, batch: dict[str, Tensor], key: str) -> Tensor:
    """The feature map (B, C, h, w) of a camera: the one that was made before, or a fresh one."""
    ready = batch.get(key + MAP)
    return model.backbone(batch[key])["feature_map"] if ready is None else ready


def _by_place(maps: Tensor) -> Tensor:
    """(B, D, h, w) as tokens (h w, B, D)."""
    return maps.flatten(2).permute(2, 0, 1)


def _constant_attention(attention: nn.MultiheadAttention) -> Tensor:
    """What self-attention gives where every value is zero: its bias, projected; (D,)."""
    _, _, value_bias = _biases(attention)
    return F.linear(value_bias, attention.out_proj.weight, attention.out_proj.bias)


def _cross_attention(
    attention: nn.MultiheadAttention, queries: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Queries (P, D), the same for all samples, over keys and values (T, B, D): (B, P, D).

    There are only a few tokens to look at, so the output projection is applied to their values
    before they are mixed rather than to every query's mixture after it.
    """
    heads, (_, batch, width) = attention.num_heads, keys.shape
    size = width // heads
    wq, wk, wv = cast(Tensor, attention.in_proj_weight).chunk(3)
    bq, bk, bv = _biases(attention)
    q = F.linear(queries, wq, bq).view(-1, heads, size).permute(1, 0, 2)  # (H, P, d)
    k = F.linear(keys, wk, bk).view(-1, batch, heads, size).permute(1, 2, 3, 0)  # (B, H, d, T)
    v = F.linear(values, wv, bv).view(-1, batch, heads, size)  # (T, B, H, d)
    weights = (torch.matmul(q.unsqueeze(0), k) * size**-0.5).softmax(-1)  # (B, H, P, T)
    projection = attention.out_proj.weight.view(width, heads, size)
    projected = torch.einsum("tbhd,ohd->bhto", v, projection).reshape(batch, -1, width)
    mixed = weights.permute(0, 2, 1, 3).flatten(2)  # (B, P, H T)
    return torch.bmm(mixed, projected) + attention.out_proj.bias


def _biases(attention: nn.MultiheadAttention) -> tuple[Any, Any, Any]:
    return cast(Any, attention.in_proj_bias).chunk(3)
