"""How much a number of rollouts can tell: of one policy, and of two."""

from __future__ import annotations

from vibrissa.core.power import POWER, episodes_needed
from vibrissa.core.stats import wilson

USUAL_RATE = 0.8  # of a policy that one takes to an arm
BASE_RATE = 0.5  # where two policies are the hardest to tell apart
PRECISE = 1e-4


def half_width(n: int, rate: float = USUAL_RATE) -> float:
    """Half the 95 % interval (Wilson) of `n` rollouts of which `rate` succeed."""
    low, high = wilson(round(rate * n), n)
    return (high - low) / 2


def least_rate(n: int, base: float = BASE_RATE) -> float | None:
    """The lowest rate above `base` that `n` rollouts of each tell from it; None where none is."""
    low, high = base, 1.0
    if episodes_needed(base, high) > n:
        return None
    while high - low > PRECISE:
        middle = (low + high) / 2
        low, high = (low, middle) if episodes_needed(base, middle) <= n else (middle, high)
    return high


def told(n: int) -> str:
    """Both in a sentence."""
    points = f"{100 * half_width(n):.0f}"
    text = f"{n} rollouts know a rate near {100 * USUAL_RATE:.0f} % to ±{points} points"
    rate = least_rate(n)
    if rate is None:
        return f"{text}, and are too few to tell {100 * BASE_RATE:.0f} from 100 %"
    return (
        f"{text}, and tell two policies apart that differ as {100 * BASE_RATE:.0f} and "
        f"{100 * rate:.0f} % do ({100 * POWER:.0f} % power)"
    )
