"""A policy that leads a recording: it passes the preflight of `vibrissa deploy` before it moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vibrissa.commands.rigs import Lead, Say, Stand

if TYPE_CHECKING:
    from vibrissa.commands.record import Config
    from vibrissa.control.keys import Keys
    from vibrissa.core.contract import Contract
    from vibrissa.core.episode import Observation
    from vibrissa.learn.policy import CheckpointPolicy

BLIND_S = 1.0  # so long may a camera show nothing of use while a policy looks through it


def fitting_policy(cfg: Config, contract: Contract) -> CheckpointPolicy:
    """The policy of `cfg` for an arm of `contract`, which need not be connected yet.

    Raises ContractError with every difference, the calibration's too.
    """
    from vibrissa.bench.first_look import require_fit
    from vibrissa.learn.policy import load_policy
    from vibrissa.learn.preflight import device_named

    assert cfg.checkpoint is not None  # a policy leads only where one is named
    policy = load_policy(cfg.checkpoint, device=device_named(cfg.device))
    require_fit(policy.contract, contract, accept=cfg.accept)
    policy.fit(contract)
    return policy


def policy_lead(
    policy: CheckpointPolicy,
    stand: Stand,
    keys: Keys,
    *,
    seed: int,
    accept: Sequence[str],
    say: Say,
) -> Lead:
    """`policy` as the pilot of an arm that is connected, after a first look at what it would do.

    Raises ContractError for a camera that shows nothing and for actions out of range, PolicyFault
    for what is no number and for a computer that is too slow; nothing was moved then.
    """
    from vibrissa.bench.first_look import odd_at_first, take_look, timely
    from vibrissa.control.pilots import ChunkPlayer

    arm = stand.arm
    if stand.real is None:
        arm.reset(seed)
    observation = arm.observe()
    look = take_look(policy, arm.contract, observation, accept=accept, say=say)
    for line in odd_at_first(policy, [observation]):
        say(f"warning {line}")
    lead, kept = timely(look, policy, policy.horizon)
    player = ChunkPlayer(
        kept, history=policy.history, cameras=policy.contract.camera_names, lead=lead
    )
    return Lead(player, keys, policy)


def sight_of(
    policy: CheckpointPolicy, accept: Sequence[str]
) -> Callable[[Observation], None] | None:
    """Raises ArmFault for a camera that stays blind while `policy` leads; None if accepted."""
    from vibrissa.bench.verdicts import Sight

    if "sight" in accept:
        return None
    return Sight(policy.contract.camera_names, round(BLIND_S * policy.contract.rate_hz)).look
