"""Contextual dueling bandit: arms are described by features, and the one of higher utility is likelier to win.

Arm ``x`` beats ``y`` with probability ``s(u(x) - u(y))``, ``s`` logistic. With ``m = <parameter, x>`` the utility is

    u = scale m  ("linear"),    u = scale m^2  ("square"),    u = scale cos(3 m)  ("cosine")

the last two being test functions for nonlinear scores (Zhou, Li, Gu 2020, Section 7.1, recalled: ``10 m^2`` and
``cos(3 m)``). Features are fresh in every round, uniform on the unit sphere, or fixed. The regret of a duel is
``max u - (u(x) + u(y)) / 2``; ``preference_regret`` the same of ``s(max u - u) - 1/2``, at most a quarter of it (the logistic
function has slope at most 1/4); ``strong_regret`` and ``weak_regret`` take the larger and the smaller gap of the pair
instead of the mean. A self-duel is a fair coin.
"""

from math import cos, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.bandits.score_duels import from_utilities
from prefsim.game import as_floats
from prefsim.ops import Array, floats, normal, sigmoid, uniform

FEEDBACK = "duel"
SIDE = "features"
METRICS = ("regret", "preference_regret", "strong_regret", "weak_regret")

KINDS = ("linear", "square", "cosine")
"""Utilities, by the number under which the truth keeps them."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    parameter: Array
    """The unknown vector, shape (dimension,)."""
    kind: Array
    """Which utility, shape (1,)."""
    scale: Array
    """Factor on the utility, shape (1,)."""
    flip: Array
    """Chance that a duel's outcome is exchanged, shape (1,)."""


class State(NamedTuple):
    """What changes from round to round."""

    features: Array = floats("arms", "dimension")
    """Features of the arms in this round."""
    gap: Array = floats("arms")
    """Their distances from the best utility."""


def contextual_duels(
    parameter: ArrayLike = (3.0, 0.0, 0.0, 0.0, 0.0),
    arms: int = 20,
    features: ArrayLike | None = None,
    utility: str = "linear",
    scale: float = 1.0,
    norm: float | None = None,
    flip: float = 0.0,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    parameter : array_like, shape (dimension,)
        The unknown vector.
    arms : int
        Arms in every round, where features are fresh.
    features : array_like, shape (arms, dimension), optional
        Features of the arms, if they are fixed.
    utility : {"linear", "square", "cosine"}
        What the utility is a function of.
    scale : float
        Factor on it, above 0.
    norm : float, optional
        Bound on the Euclidean norm of a linear utility's parameter that policies are told; if left out, the true norm or,
        for other utilities, the least that a linear one of the same range could have.
    flip : float
        Chance in [0, 1/2] that the outcome of a duel is exchanged, which no policy's model knows of.

    Raises
    ------
    ValueError
        If a number is out of range, or shapes do not fit.
    """
    theta = as_floats(parameter, "parameter")
    if theta.ndim != 1 or not theta.size or not np.isfinite(theta).all() or not theta.any():
        raise ValueError(f"parameter must be finite, not 0, of shape (dimension,); got {parameter!r}.")
    if utility not in KINDS:
        raise ValueError(f"utility must be one of {', '.join(KINDS)}; got {utility!r}.")
    if not scale > 0 or arms < 2 or not 0 <= flip <= 0.5:
        raise ValueError(f"scale must be above 0, arms at least 2 and flip in [0, 1/2]; got {scale}, {arms} and {flip}.")
    size, kind = float(np.linalg.norm(theta)), KINDS.index(utility)
    if utility == "linear" and norm is not None and norm < scale * size * (1 - 1e-12):
        raise ValueError(f"norm must bound the parameter's norm, {scale * size:g}; got {norm:g}.")
    if norm is not None and not norm > 0:
        raise ValueError(f"norm must be above 0; got {norm:g}.")
    normalisation = "utility" if utility == "linear" and not flip else f"utility, {utility}, flipped {flip:g}"
    if features is not None:
        vectors = as_floats(features, "features")
        if vectors.ndim != 2 or vectors.shape[1] != len(theta) or len(vectors) < 2:
            raise ValueError(f"features must have shape (arms, {len(theta)}) with at least two arms; got {vectors.shape}.")
        values = np.array([utility_of(kind, scale, m) for m in vectors @ theta])
        told = scale * size if norm is None and utility == "linear" else norm
        return from_utilities(values, vectors, norm=told, flip=flip, normalisation=normalisation)
    truth = Truth(theta[None], *(np.full((1, 1), float(number)) for number in (kind, scale, flip)))
    if norm is None:
        norm = scale * (size, size**2 / 2, 1.0)[kind]
    return Bandit("contextual_duels", truth, int(arms), normalisation=normalisation, norm=norm, dimension=len(theta))


def utility_of(kind, scale, m):
    """Utility where the linear function is `m`."""
    if kind == 0:
        return scale * m
    return scale * m * m if kind == 1 else scale * cos(3.0 * m)


def observe(truth, world, t, noise):
    """Draw the features of the round."""
    arms, dimension = world.features.shape
    best = -np.inf
    for a in range(arms):
        square = 0.0
        for k in range(dimension):
            world.features[a, k] = normal(noise)
            square += world.features[a, k] ** 2
        m = 0.0
        for k in range(dimension):
            world.features[a, k] /= sqrt(square)
            m += world.features[a, k] * truth.parameter[k]
        world.gap[a] = utility_of(truth.kind[0], truth.scale[0], m)
        best = max(best, world.gap[a])
    for a in range(arms):
        world.gap[a] = best - world.gap[a]


def feedback(truth, world, action, t, noise):
    """1 if the first arm of the pair wins, else 0."""
    chance = sigmoid(world.gap[action[1]] - world.gap[action[0]])
    return 1.0 if uniform(noise) < truth.flip[0] + (1.0 - 2.0 * truth.flip[0]) * chance else 0.0


def regrets(truth, world, action, t, signal):
    """Utility and preference regret of the round, then the larger and the smaller gap."""
    first, second = world.gap[action[0]], world.gap[action[1]]
    preferred = 0.5 * (sigmoid(first) + sigmoid(second)) - 0.5
    return 0.5 * (first + second), preferred, max(first, second), min(first, second)
