"""Stochastic bandit with Bernoulli rewards.

Playing arm ``a`` pays 1 with probability ``means[a]`` and 0 otherwise. The pseudo-regret of a round is
``max(means) - means[a]`` (Lattimore and Szepesvari, Bandit Algorithms, Section 4.5). No consistent policy's regret grows
by less than ``sum_i gap_i / kl(mu_i, mu*)`` per unit of ``ln T`` (Lai and Robbins 1985).
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, bernoulli_kl, uniform

FEEDBACK = "bandit"
LOCKSTEP = True
REWARDS = "bernoulli"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """Mean rewards, shape (arms,)."""
    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""


def bernoulli(means: ArrayLike) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    means : array_like, shape (arms,) or (instances, arms)
        Mean rewards in [0, 1].

    Raises
    ------
    ValueError
        If `means` is empty, not finite or outside [0, 1].
    """
    mean = as_means(means)
    return Bandit("bernoulli", Truth(mean, mean.max(-1, keepdims=True) - mean), mean.shape[-1], normalisation="pseudo")


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return 1.0 * (uniform(noise) < truth.means[action])


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)


def regret_slope_lower(truth):
    """Asymptotic lower bound on ``E regret / ln T`` of any consistent policy: ``sum_i gap_i / kl(mu_i, mu*)``.

    Lai and Robbins 1985, Theorem 2; for Bernoulli arms with any means Burnetas and Katehakis 1996. 0 if the best arm
    always pays, for then ``kl`` is infinite.
    """
    worse = truth.gap > 0
    return float((truth.gap[worse] / bernoulli_kl(truth.means[worse], truth.means.max())).sum())
