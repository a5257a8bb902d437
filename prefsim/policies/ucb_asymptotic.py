"""Asymptotically optimal UCB for sub-Gaussian rewards.

    index(i) = mean(i) + s sqrt(2 ln f(t) / n(i)),    f(t) = 1 + t ln^2 t

for the round ``t`` being decided, ``n(i)`` pulls of arm ``i`` and the problem's deviation ``s``; every arm is pulled once first
(random order). Ties are broken uniformly at random. For ``s``-sub-Gaussian noise and gaps ``D``

    E regret(T) / ln T -> at most  sum_i 2 s^2 / D_i,        which no policy betters on Gaussian rewards,
    E regret(T) <= sum_i inf_{e < D_i} D_i (1 + 5 s^2 / e^2 + 2 s^2 (L + sqrt(pi L) + 1) / (D_i - e)^2),    L = ln f(T)

(Lattimore and Szepesvari, Bandit Algorithms, Theorem 8.1, for ``s = 1``; recalled, and its steps derived anew). The infimum
is ``(a^(1/3) + b^(1/3))^3 / D_i^2``, with ``a`` and ``b`` the numerators over ``e^2`` and ``(D_i - e)^2``.
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.policies._means import State, init, learn, widest  # noqa: F401

FEEDBACK = "bandit"
LOCKSTEP = True
BOUND_COVERS = "subgaussian"
SLOPE_COVERS = "subgaussian"


class Hyper(NamedTuple):
    """Hyperparameters."""

    scale: float = 1.0
    """Factor on the theorem's widths."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def act(hyper, state, problem, t, noise):
    """Play the largest index."""
    log_t = log(t)
    return widest(state, hyper.scale * problem.deviation * sqrt(2.0 * log(1.0 + t * log_t * log_t)), noise)


def regret_bound(hyper, truth, problem, t):
    """Theorem 8.1 with its infimum; NaN if rescaled."""
    if hyper.scale != 1.0:
        return np.full(np.shape(t), np.nan)
    t, gaps = np.maximum(t, 1.0), truth.gap[truth.gap > 0]
    level = np.log1p(t * np.log(t) ** 2)
    factor = (5 ** (1 / 3) + np.cbrt(2 * (level + np.sqrt(np.pi * level) + 1))) ** 3
    return gaps.sum() + problem.deviation**2 * factor * (1 / gaps).sum()


def regret_slope(hyper, truth, problem):
    """``sum_i 2 s^2 / D_i``; NaN if rescaled."""
    gaps = truth.gap[truth.gap > 0]
    return float((2 * problem.deviation**2 / gaps).sum()) if hyper.scale == 1.0 else float("nan")
