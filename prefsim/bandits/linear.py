"""Linear bandit with a fixed set of arms: the mean reward is linear in the features of the arm.

Playing arm ``a`` pays ``<features[a], parameter> + deviation * N(0, 1)``. The pseudo-regret of a round is
``max_b <features[b], parameter> - <features[a], parameter>`` (Lattimore and Szepesvari, Bandit Algorithms, Section 19.1).
Policies are told the features, the deviation and bounds on the norms of parameter and features. What no consistent
algorithm beats is the program of Graves and Lai (:mod:`prefsim.designs`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import TIE, Array, normal

FEEDBACK = "bandit"
REWARDS = "subgaussian"
SETTING = "linear"
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
    deviation: Array
    """Standard deviation of the noise, shape (1,)."""


EXAMPLE = ((1.0, 0.0), (0.0, 1.0), (0.8, 0.4))


def linear(
    features: ArrayLike = EXAMPLE,
    parameter: ArrayLike = (1.0, 0.2),
    deviation: float = 0.1,
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
    deviation : float
        Standard deviation of the Gaussian noise, above 0.
    norm : float, optional
        Bound on the parameter's Euclidean norm that policies are told; its true norm (the largest of a batch) if left out.
    names : sequence of str, optional
        Names of the arms.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or `norm` or `deviation` is too small.
    """
    vectors, theta = as_floats(features, "features"), as_floats(parameter, "parameter")
    if vectors.ndim not in (2, 3) or theta.ndim not in (1, 2) or vectors.shape[-1] != theta.shape[-1] or not vectors.size:
        raise ValueError(
            "features must have shape (arms, dimension) or (instances, arms, dimension) and parameter (dimension,) or "
            f"(instances, dimension); got {vectors.shape} and {theta.shape}."
        )
    if not (np.isfinite(vectors).all() and np.isfinite(theta).all()):
        raise ValueError("features and parameter must be finite.")
    if not deviation > 0:
        raise ValueError(f"deviation must be above 0; got {deviation}.")
    size = float(np.linalg.norm(theta, axis=-1).max())
    if norm is not None and norm < size * (1 - 1e-12):
        raise ValueError(f"norm must bound the parameter's norm, {size:g}; got {norm:g}.")
    instances = max(len(x) if x.ndim == full else 1 for x, full in ((vectors, 3), (theta, 2)))
    vectors = np.broadcast_to(vectors, (instances, *vectors.shape[-2:]))
    means = np.einsum("iad,id->ia", vectors, np.broadcast_to(theta, (instances, theta.shape[-1])))
    truth = Truth(means, means.max(-1, keepdims=True) - means, vectors, np.full((instances, 1), deviation))
    return Bandit(
        "linear",
        truth,
        vectors.shape[1],
        normalisation="pseudo",
        names=names,
        deviation=deviation,
        norm=size if norm is None else norm,
        length=float(np.linalg.norm(vectors, axis=-1).max()),
        dimension=vectors.shape[2],
    )


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    return truth.means[action] + truth.deviation[0] * normal(noise)


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)


def regret_slope_lower(truth):
    """Asymptotic lower bound on ``E regret / ln T``; NaN where several arms are best, which the theorem leaves out."""
    from prefsim.designs import graves_lai

    best = truth.features[truth.gap <= TIE]
    if (best != best[0]).any():
        return float("nan")
    return graves_lai(truth.features, truth.gap, truth.deviation[0]).certificate
