"""How much a number of rollouts can tell: of one policy, and of two."""

from __future__ import annotations

import math

from scipy.stats import norm

from vibrissa.core.stats import wilson

USUAL_RATE = 0.8  # of a policy that one takes to an arm
BASE_RATE = 0.5  # where two policies are the hardest to tell apart
LEVEL, POWER = 0.95, 0.8
PRECISE = 1e-4


def half_width(n: int, rate: float = USUAL_RATE) -> float:
    """Half the 95 % interval (Wilson) of `n` rollouts of which `rate` succeed."""
    low, high = wilson(round(rate * n), n, LEVEL)
    return (high - low) / 2


def needed(first: float, second: float, power: float = POWER) -> float:
    """Rollouts of each of two policies that tell these two rates apart, not paired.

    The normal approximation with unequal variances under the alternative (Fleiss, Levin & Paik,
    Statistical Methods for Rates and Proportions, 3rd ed., eq. 4.14, without the continuity
    correction), two-sided at 5 %.
    """
    z_level, z_power = norm.ppf((1 + LEVEL) / 2), norm.ppf(power)
    mean = (first + second) / 2
    under_null = math.sqrt(2 * mean * (1 - mean))
    spread = math.sqrt(first * (1 - first) + second * (1 - second))
    return float(((z_level * under_null + z_power * spread) / (first - second)) ** 2)


def least_rate(n: int, base: float = BASE_RATE) -> float | None:
    """The lowest rate above `base` that `n` rollouts of each tell from it; None where none is."""
    low, high = base, 1.0
    if needed(base, high) > n:
        return None
    while high - low > PRECISE:
        middle = (low + high) / 2
        low, high = (low, middle) if needed(base, middle) <= n else (middle, high)
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
        f"{100 * rate:.0f} % do (80 % power)"
    )
