"""MOSS, minimax optimal strategy in the stochastic case: optimism that ends once an arm has had its share of the horizon.

    index(i) = mean(i) + s sqrt((4 / n(i)) max(0, ln(T / (K n(i)))))

with ``n(i)`` pulls of arm ``i`` and the problem's deviation ``s``; every arm is pulled once first (random order). Ties are
broken uniformly at random. An index changes only when its arm is pulled, so a round costs one logarithm. For ``s``-sub-Gaussian
noise and gaps ``D``

    E regret(T) <= 39 s sqrt(K T) + sum_i D_i

(Audibert and Bubeck 2009; in this form Lattimore and Szepesvari, Bandit Algorithms, Theorem 9.1, recalled, there for
``s = 1``). It is a statement about the horizon, and the same number bounds the regret of the rounds before. On gaps of .1 it
says something only beyond some hundred thousand rounds.
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import argmax_random
from prefsim.policies._means import State, init  # noqa: F401
from prefsim.policies._means import learn as count

FEEDBACK = "bandit"
LOCKSTEP = True
ANYTIME = False
BOUND_COVERS = "subgaussian"


class Hyper(NamedTuple):
    """Hyperparameters."""

    scale: float = 1.0
    """Factor on the theorem's widths."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def act(hyper, state, problem, t, noise):
    """Play the largest index."""
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the played arm and its index."""
    count(hyper, state, problem, t, action, feedback)
    level = max(0.0, log(problem.horizon / (problem.arms * state.pulls[action])))
    state.index[action] = state.mean[action] + hyper.scale * problem.deviation * sqrt(4.0 * level) * state.root[action]


def regret_bound(hyper, truth, problem, t):
    """``39 s sqrt(K T) + sum_i D_i`` at every round; NaN if rescaled."""
    bound = 39 * problem.deviation * sqrt(problem.arms * problem.horizon) + truth.gap.sum()
    return np.full(np.shape(t), bound if hyper.scale == 1.0 else np.nan)
