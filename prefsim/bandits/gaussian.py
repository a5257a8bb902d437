"""Stochastic bandit with Gaussian rewards of equal variance.

Playing arm ``a`` pays ``means[a] + deviation * N(0, 1)``. Policies are told the deviation. The pseudo-regret of a round is
``max(means) - means[a]``, and no consistent policy's grows by less than ``sum_i 2 deviation^2 / gap_i`` per unit of ``ln T``
(Lai and Robbins 1985; Lattimore and Szepesvari, Bandit Algorithms, Theorem 16.2 with its Table 16.1).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, normal

FEEDBACK = "bandit"
LOCKSTEP = True
REWARDS = "subgaussian"
SETTING = "gaussian"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """Mean rewards, shape (arms,)."""
    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""
    deviation: Array
    """Standard deviation of the noise, shape (1,)."""


def gaussian(means: ArrayLike = (0.5, 0.0, -0.5), deviation: float = 1.0) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    means : array_like, shape (arms,) or (instances, arms)
        Mean rewards, any finite numbers.
    deviation : float
        Standard deviation of every reward, above 0.

    Raises
    ------
    ValueError
        If `means` is empty or not finite, or `deviation` is not a finite number above 0.
    """
    mean = as_means(means, unit=False)
    if not 0 < deviation < np.inf:
        raise ValueError(f"deviation must be finite and above 0; got {deviation}.")
    truth = Truth(mean, mean.max(-1, keepdims=True) - mean, np.full((len(mean), 1), deviation))
    return Bandit("gaussian", truth, mean.shape[-1], normalisation="pseudo", deviation=float(deviation))


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return truth.means[action] + truth.deviation[0] * normal(noise)


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)


def regret_slope_lower(truth):
    """Asymptotic lower bound on ``E regret / ln T`` of any consistent policy: ``sum_i 2 deviation^2 / gap_i``.

    The divergence of two such Gaussians is ``gap^2 / (2 deviation^2)`` (Lai and Robbins 1985, Theorem 2).
    """
    return float((2 * truth.deviation[0] ** 2 / truth.gap[truth.gap > 0]).sum())
