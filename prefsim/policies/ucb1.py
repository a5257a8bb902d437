"""UCB1: play the arm with the largest upper confidence bound on its mean.

    index(i) = mean(i) + sqrt(exploration ln t / n(i)),    exploration = 2

for the round ``t`` being decided, ``n(i)`` pulls of arm ``i``; every arm is pulled once first (random order). Ties are
broken uniformly at random. For rewards in [0, 1], with gaps ``D``:

    E regret(T) <= sum_{i : D_i > 0} 8 ln T / D_i + (1 + pi^2 / 3) sum_i D_i

(Auer, Cesa-Bianchi, Fischer 2002, Theorem 1).
"""

from math import inf, log, pi, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, argmax_random, floats

FEEDBACK = "bandit"
BOUND_COVERS = "unit"


class Hyper(NamedTuple):
    """Hyperparameters."""

    exploration: float = 2.0
    """Factor of ``ln t`` under the root; the theorem is for 2."""


class State(NamedTuple):
    """What the next round needs; all of shape (arms,)."""

    pulls: Array = floats("arms")
    total: Array = floats("arms")
    """Sum of rewards."""
    mean: Array = floats("arms")
    """``total / pulls``; infinite before the first pull, so that new arms come first."""
    root: Array = floats("arms")
    """``1 / sqrt(pulls)``, kept so that a round costs no division."""
    index: Array = floats("arms")


def validate(hyper):
    """Refuse what makes no sense."""
    return f"exploration must be >= 0; got {hyper.exploration:g}." if hyper.exploration < 0 else ""


def init(hyper, state, problem):
    """Make every arm irresistible until it is pulled."""
    for i in range(problem.arms):
        state.mean[i] = inf


def act(hyper, state, problem, t, noise):
    """Play the largest index."""
    width = sqrt(hyper.exploration * log(t))
    for i in range(problem.arms):
        state.index[i] = state.mean[i] + width * state.root[i]
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the played arm."""
    state.pulls[action] += 1.0
    state.total[action] += feedback
    state.mean[action] = state.total[action] / state.pulls[action]
    state.root[action] = 1.0 / sqrt(state.pulls[action])


def regret_bound(hyper, truth, problem, t):
    """Theorem 1; NaN where `hyper` leaves its assumptions."""
    if hyper.exploration != 2.0:
        return np.full(np.shape(t), np.nan)
    gaps = truth.gap[truth.gap > 0]
    return 8 * np.log(np.maximum(t, 1)) * (1 / gaps).sum() + (1 + pi**2 / 3) * gaps.sum()
