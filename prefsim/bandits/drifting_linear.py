"""Linear bandit whose parameter rotates: what was learned goes out of date.

Round ``t`` pays ``<features[a], R(t) parameter> + deviation * N(0, 1)``, where ``R(t)`` turns the first two coordinates by
``2 pi t / period``. The regret is dynamic, charged against the best arm of each round. The rotating instance of Russac,
Vernade, Cappe 2019, "Weighted linear bandits for non-stationary environments" (their slow variation; recalled).
"""

from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.bandits.linear import linear
from prefsim.ops import Array, normal

FEEDBACK = "bandit"
REWARDS = "subgaussian"
SETTING = "drifting_linear"
SIDE = "features"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    features: Array
    """Features of the arms, shape (arms, dimension)."""
    parameter: Array
    """The parameter at ``t = 0``, shape (dimension,)."""
    deviation: Array
    """Standard deviation of the noise, shape (1,)."""
    period: Array
    """Rounds of a full turn, shape (1,)."""


def drifting_linear(
    features: ArrayLike = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)),
    parameter: ArrayLike = (1.0, 0.0),
    deviation: float = 0.1,
    period: float = 4000.0,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    features : array_like, shape (arms, dimension) or (instances, arms, dimension)
        Feature vectors of the arms, of dimension 2 at least.
    parameter : array_like, shape (dimension,) or (instances, dimension)
        The unknown vector before the first round; policies are told its norm, which the rotation keeps.
    deviation : float
        Standard deviation of the Gaussian noise, above 0.
    period : float
        Rounds of a full turn, above 0.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite or out of range, or the dimension is 1.
    """
    still = linear(features, parameter, deviation)  # checks the arguments
    vectors = still.truth.features
    if vectors.shape[-1] < 2 or not period > 0:
        raise ValueError(f"features must have dimension >= 2 and period be above 0; got {vectors.shape[-1]} and {period}.")
    theta = np.broadcast_to(np.asarray(parameter, dtype=np.float64), (len(vectors), vectors.shape[-1]))
    truth = Truth(vectors, theta, still.truth.deviation, np.full((len(vectors), 1), period))
    return Bandit("drifting_linear", truth, still.arms, normalisation="dynamic", **still.known)  # type: ignore[arg-type]


def mean(truth, arm, t):
    """Mean reward of an arm in round `t`."""
    angle = 2.0 * pi * t / truth.period[0]
    x, theta = truth.features[arm], truth.parameter
    total = x[0] * (cos(angle) * theta[0] - sin(angle) * theta[1]) + x[1] * (sin(angle) * theta[0] + cos(angle) * theta[1])
    for k in range(2, len(x)):
        total += x[k] * theta[k]
    return total


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return mean(truth, action, t) + truth.deviation[0] * normal(noise)


def regrets(truth, world, action, t, signal):
    """Regret against the best arm of the round."""
    best = mean(truth, 0, t)
    for a in range(1, len(truth.features)):
        best = max(best, mean(truth, a, t))
    return (best - mean(truth, action, t),)
