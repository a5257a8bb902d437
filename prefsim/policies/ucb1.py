"""UCB1: play the arm with the largest upper confidence bound on its mean.

    index(i) = mean(i) + sqrt(exploration ln t / n(i)),    exploration = 2

for the round ``t`` being decided, ``n(i)`` pulls of arm ``i``; every arm is pulled once first (random order). Ties are
broken uniformly at random. For rewards in [0, 1], with gaps ``D``:

    E regret(T) <= sum_{i : D_i > 0} 8 ln T / D_i + (1 + pi^2 / 3) sum_i D_i

(Auer, Cesa-Bianchi, Fischer 2002, Theorem 1).
"""

from math import log, pi, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.policies._means import State, init, learn, widest  # noqa: F401

FEEDBACK = "bandit"
LOCKSTEP = True
BOUND_COVERS = "unit"


class Hyper(NamedTuple):
    """Hyperparameters."""

    exploration: float = 2.0
    """Factor of ``ln t`` under the root; the theorem is for 2."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"exploration must be >= 0; got {hyper.exploration:g}." if hyper.exploration < 0 else ""


def act(hyper, state, problem, t, noise):
    """Play the largest index."""
    return widest(state, sqrt(hyper.exploration * log(t)), noise)


def regret_bound(hyper, truth, problem, t):
    """Theorem 1; NaN where `hyper` leaves its assumptions."""
    if hyper.exploration != 2.0:
        return np.full(np.shape(t), np.nan)
    gaps = truth.gap[truth.gap > 0]
    return 8 * np.log(np.maximum(t, 1)) * (1 / gaps).sum() + (1 + pi**2 / 3) * gaps.sum()
