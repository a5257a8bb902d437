"""Stochastic bandit with heavy-tailed rewards: moments of order ``index`` and beyond do not exist.

Playing arm ``a`` pays ``means[a] + scale * X`` with ``E X = 0`` and either

    student   X = sqrt(nu (u^(-2 / nu) - 1)) cos(2 pi v),   Student's t with nu = index degrees of freedom, symmetric
    pareto    X = u^(-1 / nu) - nu / (nu - 1),              Pareto with tail index nu = index, rare large rewards

for uniform ``u, v`` (Bailey 1994 for Student's t; inversion for Pareto). ``P(|X| > x)`` falls like ``x^-index``; the mean
exists for ``index > 1`` and the variance for ``index > 2``: ``nu / (nu - 2)`` and ``nu / ((nu - 1)^2 (nu - 2))``. Policies are
told `scale` as their deviation, which is no sub-Gaussian parameter, so that theorems for light tails do not apply. The
pseudo-regret of a round is ``max(means) - means[a]``.
"""

from math import cos, exp, expm1, log, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, uniform

FEEDBACK = "bandit"
REWARDS = "heavy"
METRICS = ("regret",)
TAILS = ("student", "pareto")


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """Mean rewards, shape (arms,)."""
    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""
    noise: Array
    """Place of the tail in ``TAILS``, its index, and the scale; shape (3,)."""


def heavy_tailed(means: ArrayLike = (0.5, 0.0, -0.5), index: float = 1.5, tail: str = "student", scale: float = 1.0) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    means : array_like, shape (arms,) or (instances, arms)
        Mean rewards, any finite numbers.
    index : float
        Tail index ``nu``, above 1 so that means exist.
    tail : {"student", "pareto"}
        Law of the noise.
    scale : float
        Factor on the noise, above 0.

    Raises
    ------
    ValueError
        If `means` is empty or not finite, `tail` is unknown, `index` is not above 1 or `scale` not above 0.
    """
    mean = as_means(means, unit=False)
    if tail not in TAILS:
        raise ValueError(f'tail must be "student" or "pareto"; got {tail!r}.')
    if not (1 < index < np.inf and 0 < scale < np.inf):
        raise ValueError(f"index must be above 1, so that means exist, and scale above 0; got {index} and {scale}.")
    noise = np.tile([TAILS.index(tail), index, scale], (len(mean), 1))
    truth = Truth(mean, mean.max(-1, keepdims=True) - mean, noise)
    return Bandit("heavy_tailed", truth, mean.shape[-1], normalisation="pseudo", deviation=float(scale))


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    index = truth.noise[1]
    surprise = -log(1.0 - uniform(noise)) / index
    if truth.noise[0] == 0.0:
        shock = sqrt(index * expm1(2.0 * surprise)) * cos(2.0 * pi * uniform(noise))
    else:
        shock = exp(surprise) - index / (index - 1.0)
    return truth.means[action] + truth.noise[2] * shock


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)
