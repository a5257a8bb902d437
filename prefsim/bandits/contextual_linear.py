"""Linear bandit whose arms change: in every round fresh feature vectors, uniform on the unit sphere.

Playing arm ``a`` of round ``t`` pays ``<x_t(a), parameter> + deviation * N(0, 1)``; the pseudo-regret of the round is
``max_b <x_t(b), parameter> - <x_t(a), parameter>``. The setting of Abbasi-Yadkori, Pal, Szepesvari 2011, with decision
sets drawn at random.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import Array, floats, normal

FEEDBACK = "bandit"
REWARDS = "subgaussian"
SETTING = "contextual"
SIDE = "features"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    parameter: Array
    """The unknown vector, shape (dimension,)."""
    deviation: Array
    """Standard deviation of the noise, shape (1,)."""


class State(NamedTuple):
    """What changes from round to round."""

    features: Array = floats("arms", "dimension")
    """Features of the arms in this round."""
    means: Array = floats("arms")
    """Their mean rewards."""


def contextual_linear(
    parameter: ArrayLike = (0.6, 0.0, -0.8), arms: int = 10, deviation: float = 0.1, norm: float | None = None
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    parameter : array_like, shape (dimension,) or (instances, dimension)
        The unknown vector.
    arms : int
        Arms in every round.
    deviation : float
        Standard deviation of the Gaussian noise, above 0.
    norm : float, optional
        Bound on the parameter's Euclidean norm that policies are told; its true norm (the largest of a batch) if left out.

    Raises
    ------
    ValueError
        If a number is out of range, or `parameter` is no vector or batch of vectors.
    """
    theta = np.atleast_2d(as_floats(parameter, "parameter"))
    if theta.ndim != 2 or not theta.size or not np.isfinite(theta).all():
        raise ValueError(f"parameter must be finite, of shape (dimension,) or (instances, dimension); got {parameter!r}.")
    if not deviation > 0 or arms < 1:
        raise ValueError(f"deviation must be above 0 and arms at least 1; got {deviation} and {arms}.")
    size = float(np.linalg.norm(theta, axis=-1).max())
    if norm is not None and norm < size * (1 - 1e-12):
        raise ValueError(f"norm must bound the parameter's norm, {size:g}; got {norm:g}.")
    truth = Truth(theta, np.full((len(theta), 1), deviation))
    told = {"deviation": deviation, "norm": size if norm is None else norm, "dimension": theta.shape[1]}
    return Bandit("contextual_linear", truth, int(arms), normalisation="pseudo", **told)  # type: ignore[arg-type]


def observe(truth, world, t, noise):
    """Draw the features of the round."""
    arms, dimension = world.features.shape
    for a in range(arms):
        square = 0.0
        for k in range(dimension):
            world.features[a, k] = normal(noise)
            square += world.features[a, k] ** 2
        mean = 0.0
        for k in range(dimension):
            world.features[a, k] /= sqrt(square)
            mean += world.features[a, k] * truth.parameter[k]
        world.means[a] = mean


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return world.means[action] + truth.deviation[0] * normal(noise)


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    best = world.means[0]
    for a in range(1, len(world.means)):
        best = max(best, world.means[a])
    return (best - world.means[action],)
