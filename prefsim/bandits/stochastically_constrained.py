"""Stochastically constrained adversary: gaps between the arms are fixed while the base they stand on jumps.

Rewards are coins. In odd phases arm ``a`` pays with chance ``1 - gaps[a]``, in even ones with ``max(gaps) - gaps[a]``; phase
``n`` lasts about ``growth^n`` rounds. The pseudo-regret of a round is ``gaps[a]`` whatever the base, and bounds of order ``ln
T / gap`` hold for policies that are robust against adversaries. An empirical mean is no estimate of anything here: it depends
on the phases in which an arm was played, which fools UCB1 and Thompson sampling for most of a phase (Zimmert and Seldin 2021,
their phases of lengths 1.6^n, recalled; the regime is due to Wei and Luo 2018).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, floats, integers, uniform

FEEDBACK = "bandit"
REWARDS = "unit"
SETTING = "constrained"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""
    base: Array
    """Chance of the best arm in even and in odd phases, shape (2,)."""
    growth: Array
    """Ratio of the lengths of successive phases, shape (1,)."""


class State(NamedTuple):
    """The phase."""

    phase: Array = integers(1)
    """Its number, from 1; 0 before the first round."""
    length: Array = floats(1)
    end: Array = floats(1)
    """Its last round, a fraction."""


def stochastically_constrained(gaps: ArrayLike = (0.0, 0.1, 0.1, 0.1), growth: float = 1.6) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    gaps : array_like, shape (arms,) or (instances, arms)
        Gap of each arm in [0, 1], that of the best being 0.
    growth : float
        Ratio of the lengths of successive phases, at least 1.

    Raises
    ------
    ValueError
        If no gap is 0, one leaves [0, 1], or `growth` is below 1.
    """
    gap = as_means(gaps, "gaps")
    if gap.min(-1).any():
        raise ValueError(f"gaps must be measured from the best arm, whose gap is 0; got {gaps!r}.")
    if not (np.isfinite(growth) and growth >= 1):
        raise ValueError(f"growth must be a finite number >= 1; got {growth}.")
    base = np.stack([gap.max(-1), np.ones(len(gap))], axis=-1)
    truth = Truth(gap, base, np.full((len(gap), 1), growth))
    return Bandit("stochastically_constrained", truth, gap.shape[-1], normalisation="pseudo")


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    if t > world.end[0]:
        world.length[0] = truth.growth[0] * max(1.0, world.length[0])
        world.end[0] += world.length[0]
        world.phase[0] += 1
    chance = truth.base[world.phase[0] % 2] - truth.gap[action]
    return 1.0 if uniform(noise) < chance else 0.0


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)
