"""Explore-then-commit: every arm ``m`` times in turn, then the best mean for ever.

    m = max(1, ceil((4 s^2 / gap^2) ln(T gap^2 / (4 s^2))))      gap known: the two-armed rule
    m = ceil((T / K)^(2/3) (ln T)^(1/3))                         gap = 0: the gap-free rule for K arms

both at most ``T / K``. ``s`` is the problem's deviation, ``D`` the gaps. Ties for the best mean are broken uniformly at
random; the arms' order in a turn is random too. For ``s``-sub-Gaussian noise and whatever ``m``

    E regret(T) <= m sum_i D_i + (T - m K) sum_i D_i exp(-m D_i^2 / (4 s^2))

(Lattimore and Szepesvari, Bandit Algorithms, Theorem 6.1, for ``s = 1``; recalled, and derived anew: the difference of two
means has the sub-Gaussian parameter ``s sqrt(2 / m)``). With two arms and their gap that is at most ``min{T D, D + (4 s^2 / D)
(1 + max(0, ln(T D^2 / (4 s^2))))}``; the gap-free rule's regret is of the order ``T^(2/3) (K ln T)^(1/3)`` for gaps up to 1.
"""

from math import ceil, log
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, argmax_random, floats, integers

FEEDBACK = "bandit"
ANYTIME = False
BOUND_COVERS = "subgaussian"


class Hyper(NamedTuple):
    """Hyperparameters."""

    gap: float = 0.0
    """Difference of the two arms' means; 0 if unknown."""


class State(NamedTuple):
    """What the next round needs."""

    total: Array = floats("arms")
    """Sum of an arm's rewards; as all are pulled equally often, it ranks them as means do."""
    length: Array = integers(1)
    """Rounds of exploration, ``m K``."""
    chosen: Array = integers(1)
    """The arm committed to."""


def turns(hyper, problem):
    """How often each arm is explored, ``m``."""
    share = problem.horizon / problem.arms
    if hyper.gap > 0.0 and problem.deviation == 0.0:
        count = 1
    elif hyper.gap > 0.0:
        unit = hyper.gap * hyper.gap / (4.0 * problem.deviation * problem.deviation)
        count = ceil(log(max(1.0, problem.horizon * unit)) / unit)
    else:
        count = ceil(share ** (2.0 / 3.0) * log(problem.horizon) ** (1.0 / 3.0))
    return max(1, min(count, int(share)))


def validate(hyper):
    """Refuse what makes no sense."""
    return f"gap must be >= 0, 0 if unknown; got {hyper.gap:g}." if hyper.gap < 0 else ""


def init(hyper, state, problem):
    """Plan the exploration."""
    state.length[0] = turns(hyper, problem) * problem.arms


def act(hyper, state, problem, t, noise):
    """Explore in turn, then commit."""
    if t <= state.length[0]:
        return (t - 1) % problem.arms
    if t == state.length[0] + 1:
        state.chosen[0] = argmax_random(state.total, noise)
    return state.chosen[0]


def learn(hyper, state, problem, t, action, feedback):
    """Gather rewards while exploring."""
    if t <= state.length[0]:
        state.total[action] += feedback


def regret_bound(hyper, truth, problem, t):
    """The bound at the horizon, or ``t`` times the largest gap while that is less."""
    count, gaps = turns(hyper, problem), truth.gap[truth.gap > 0]
    wrong = gaps * np.exp(-count * gaps**2 / (4 * problem.deviation**2))
    rest = max(0, problem.horizon - count * problem.arms)
    return np.minimum(count * gaps.sum() + rest * wrong.sum(), t * gaps.max(initial=0.0))
