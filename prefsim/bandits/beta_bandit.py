"""Stochastic bandit with continuous rewards in [0, 1], Beta distributed around their means.

Playing arm ``a`` pays a Beta(``k m``, ``k (1 - m)``) reward of mean ``m = means[a]`` and variance ``m (1 - m) / (k + 1)``:
``k -> 0`` gives coins, ``k = 2`` at ``m = 1/2`` the uniform law, ``k -> inf`` no noise. Policies are told no more than that
rewards lie in [0, 1] (deviation 1/2, Hoeffding's). The pseudo-regret of a round is ``max(means) - means[a]``. Source:
definition.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, beta

FEEDBACK = "bandit"
REWARDS = "unit"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """Mean rewards, shape (arms,)."""
    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""
    concentration: Array
    """The number ``k``, shape (1,)."""


def beta_bandit(means: ArrayLike = (0.6, 0.5, 0.4), concentration: float = 2.0) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    means : array_like, shape (arms,) or (instances, arms)
        Mean rewards, strictly between 0 and 1.
    concentration : float
        The number ``k > 0``, at most 1e8.

    Raises
    ------
    ValueError
        If a mean is 0, 1 or outside, or ``k m`` or ``k (1 - m)`` leaves [1e-8, 1e8], where Beta variates are reliable.
    """
    mean = as_means(means)
    least = concentration * float(np.minimum(mean, 1 - mean).min())
    if not (least >= 1e-8 and concentration <= 1e8):
        raise ValueError(
            "means must lie strictly between 0 and 1, and concentration above 0, such that concentration times the distance "
            f"of every mean from 0 and 1 is at least 1e-8, and at most 1e8; got {means!r} and {concentration}."
        )
    truth = Truth(mean, mean.max(-1, keepdims=True) - mean, np.full((len(mean), 1), concentration))
    return Bandit("beta_bandit", truth, mean.shape[-1], normalisation="pseudo")


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    mean, k = truth.means[action], truth.concentration[0]
    return beta(noise, k * mean, k * (1.0 - mean))


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)
