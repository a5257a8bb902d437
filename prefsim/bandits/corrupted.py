"""Stochastic bandit with adversarial corruption: Bernoulli rewards, but an adversary rewrites those of the first rounds.

In rounds ``1 .. budget`` every best arm pays 0 and every other arm 1; afterwards arm ``a`` pays 1 with probability
``means[a]``. ``regret`` is the pseudo-regret against the true means, ``max(means) - means[a]``, from the first round on. A
round's rewards are changed by at most 1, so the corruption is at most ``budget``, and a policy whose expected regret against
oblivious losses is at most ``B(T)`` has ``E regret(T) <= B(T) + 2 budget`` (derived: change the comparator's and the own
rewards back). Between stochastic and adversarial bandits (Lykouris, Mirrokni, Paes Leme 2018).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.ops import Array, uniform

FEEDBACK = "bandit"
REWARDS = "unit"
SETTING = "corrupted"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """True mean rewards, shape (arms,)."""
    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""
    budget: Array
    """Rounds that are corrupted, shape (1,)."""


def corrupted(means: ArrayLike = (0.6, 0.5, 0.4), budget: int = 100) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    means : array_like, shape (arms,) or (instances, arms)
        Mean rewards in [0, 1].
    budget : int
        Number of corrupted rounds, at least 0.

    Raises
    ------
    ValueError
        If `means` is empty, not finite or outside [0, 1], or `budget` negative.
    """
    mean = as_means(means)
    if budget < 0:
        raise ValueError(f"budget must be at least 0 rounds; got {budget}.")
    truth = Truth(mean, mean.max(-1, keepdims=True) - mean, np.full((len(mean), 1), float(budget)))
    return Bandit("corrupted", truth, mean.shape[-1], normalisation="pseudo")


def feedback(truth, world, action, t, noise):
    """Reward of the played arm, as the adversary shows it."""
    if t <= truth.budget[0]:
        return 1.0 if truth.gap[action] > 0.0 else 0.0
    return 1.0 if uniform(noise) < truth.means[action] else 0.0


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round, by the true means."""
    return (truth.gap[action],)
