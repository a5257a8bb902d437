"""Logistic bandit whose arms change: fresh features in every round, and coins whose log-odds are linear in them.

The features are those of ``contextual_linear``, uniform on the unit sphere. Playing arm ``a`` of round ``t`` pays 1 with
probability ``s(<x_t(a), parameter>)``, ``s(z) = 1 / (1 + exp(-z))``, and 0 otherwise; the pseudo-regret of the round is
``max_b s(<x_t(b), parameter>) - s(<x_t(a), parameter>)`` (Filippi, Cappe, Garivier, Szepesvari 2010, with this link).
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.bandits.contextual_linear import State, contextual_linear, observe
from prefsim.ops import Array, sigmoid, uniform

FEEDBACK = "bandit"
REWARDS = "bernoulli"
SETTING = "contextual_logistic"
SIDE = "features"
METRICS = ("regret",)

__all__ = ["State", "Truth", "contextual_logistic", "feedback", "observe", "regrets"]


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    parameter: Array
    """The unknown vector, shape (dimension,)."""


def contextual_logistic(parameter: ArrayLike = (1.2, 0.0, -1.6), arms: int = 10, norm: float | None = None) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    parameter : array_like, shape (dimension,) or (instances, dimension)
        The unknown vector.
    arms : int
        Arms in every round.
    norm : float, optional
        Bound on the parameter's Euclidean norm that policies are told; its true norm (the largest of a batch) if left out.

    Raises
    ------
    ValueError
        If a number is out of range, or `parameter` is no vector or batch of vectors.
    """
    odds = contextual_linear(parameter, arms, norm=norm)  # checks the arguments
    told = {**odds.known, "deviation": 0.5}
    truth = Truth(odds.truth.parameter)
    return Bandit("contextual_logistic", truth, odds.arms, normalisation="pseudo", **told)  # type: ignore[arg-type]


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return 1.0 if uniform(noise) < sigmoid(world.means[action]) else 0.0


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round; ``world.means`` holds log-odds."""
    best = world.means[0]
    for a in range(1, len(world.means)):
        best = max(best, world.means[a])
    return (sigmoid(best) - sigmoid(world.means[action]),)
