"""Logistic bandit with a fixed set of arms: coins whose log-odds are linear in the features of the arm.

Playing arm ``a`` pays 1 with probability ``1 / (1 + exp(-<features[a], parameter>))`` and 0 otherwise; the pseudo-regret
of a round is the largest of these probabilities minus the played arm's (Filippi, Cappe, Garivier, Szepesvari 2010, with
the logistic link). Linear policies are misspecified here, and no bound of theirs is drawn.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.bandits.linear import EXAMPLE, linear
from prefsim.ops import Array, uniform

FEEDBACK = "bandit"
REWARDS = "bernoulli"
SIDE = "features"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    means: Array
    """Mean rewards, shape (arms,)."""
    gap: Array
    """Pseudo-regret of each arm, shape (arms,)."""
    features: Array
    """Features of the arms, shape (arms, dimension)."""


def logistic(
    features: ArrayLike = EXAMPLE,
    parameter: ArrayLike = (1.0, 0.2),
    norm: float | None = None,
    names: Sequence[str] | None = None,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    features : array_like, shape (arms, dimension) or (instances, arms, dimension)
        Feature vectors of the arms.
    parameter : array_like, shape (dimension,) or (instances, dimension)
        The unknown vector.
    norm : float, optional
        Bound on the parameter's Euclidean norm that policies are told; its true norm (the largest of a batch) if left out.
    names : sequence of str, optional
        Names of the arms.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or `norm` is too small.
    """
    odds = linear(features, parameter, norm=norm, names=names)  # checks the arguments
    means = 1 / (1 + np.exp(-odds.truth.means))
    truth = Truth(means, means.max(-1, keepdims=True) - means, odds.truth.features)
    told = {**odds.known, "deviation": 0.5}
    return Bandit("logistic", truth, odds.arms, normalisation="pseudo", names=names, **told)  # type: ignore[arg-type]


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return 1.0 if uniform(noise) < truth.means[action] else 0.0


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)
