"""Stochastic bandit with Bernoulli rewards.

Playing arm ``a`` pays 1 with probability ``means[a]`` and 0 otherwise. The pseudo-regret of a round is
``max(means) - means[a]`` (Lattimore and Szepesvari, Bandit Algorithms, Section 4.5).
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, uniform

FEEDBACK = "bandit"
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
    return 1.0 if uniform(noise) < truth.means[action] else 0.0


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)
