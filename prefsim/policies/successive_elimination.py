"""Successive elimination: play the arms that may still be best in turn, and drop those that cannot be.

    after the n-th turn of the active arms drop every i with  max_j mean(j) - mean(i) > 2 radius(n)
    radius(n) = scale * s sqrt(2 ln(2 K T / delta) / n)

with the problem's deviation ``s``; in [0, 1], where ``s = 1/2``, the radius is ``sqrt(ln(2 K T / delta) / (2 n))``. The arms'
order in a turn is random, and nothing else needs a tie rule. All means stay within the radius of the truth with probability
at least ``1 - delta`` (Hoeffding, and a union over ``K`` arms and ``T`` counts), and then the best arm is never dropped and arm
``i`` is pulled at most ``32 s^2 ln(2 K T / delta) / D_i^2 + 1`` times, because ``4 radius < D_i`` drops it. Hence (derived)

    E regret(t) <= sum_i (32 s^2 ln(2 K T / delta) / D_i + D_i) + delta t max_i D_i

``delta = 0`` stands for ``1 / T``; the often quoted ``delta = 1`` makes the union bound void (Even-Dar, Mannor, Mansour 2006).
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, floats, integers
from prefsim.policies._limits import complain

FEEDBACK = "bandit"
ANYTIME = False
BOUND_COVERS = "subgaussian"


class Hyper(NamedTuple):
    """Hyperparameters."""

    delta: float = 0.0
    """Probability that the best arm may be lost; 0 for ``1 / T``."""
    scale: float = 1.0
    """Factor on the theorem's radius."""


class State(NamedTuple):
    """What the next round needs."""

    total: Array = floats("arms")
    """Sum of an arm's rewards."""
    active: Array = integers("arms")
    """The active arms, those in force first."""
    count: Array = integers(1)
    """How many are active."""
    place: Array = integers(1)
    """Place of the next arm to play in `active`."""
    turn: Array = floats(1)
    """Complete turns, ``n``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "scale")


def init(hyper, state, problem):
    """All arms are active."""
    state.count[0] = problem.arms
    for i in range(problem.arms):
        state.active[i] = i


def surprise(hyper, problem):
    """``ln(2 K T / delta)``."""
    delta = hyper.delta if hyper.delta > 0.0 else 1.0 / problem.horizon
    return log(2.0 * problem.arms * problem.horizon / delta)


def act(hyper, state, problem, t, noise):
    """Play the next active arm."""
    return state.active[state.place[0]]


def learn(hyper, state, problem, t, action, feedback):
    """Gather the reward; at the end of a turn drop arms."""
    state.total[action] += feedback
    state.place[0] += 1
    if state.place[0] < state.count[0]:
        return
    state.place[0] = 0
    state.turn[0] += 1.0
    if state.count[0] == 1:
        return
    best = state.total[state.active[0]]
    for k in range(1, state.count[0]):
        best = max(best, state.total[state.active[k]])
    turn, kept = state.turn[0], 0
    width = 2.0 * hyper.scale * problem.deviation * sqrt(2.0 * surprise(hyper, problem) * turn)
    for k in range(state.count[0]):
        if best - state.total[state.active[k]] <= width:
            state.active[kept] = state.active[k]
            kept += 1
    state.count[0] = kept


def recommend(hyper, state, problem, t):
    """The active arm with the largest sum of rewards, which ranks them as means do once a turn is complete."""
    best = state.active[0]
    for k in range(1, state.count[0]):
        if state.total[state.active[k]] > state.total[best]:
            best = state.active[k]
    return best


def regret_bound(hyper, truth, problem, t):
    """The derived bound; NaN if rescaled."""
    if hyper.scale != 1.0:
        return np.full(np.shape(t), np.nan)
    gaps, delta = truth.gap[truth.gap > 0], hyper.delta if hyper.delta > 0.0 else 1.0 / problem.horizon
    level = 32 * problem.deviation**2 * surprise(hyper, problem)
    return (level / gaps + gaps).sum() + delta * np.asarray(t) * gaps.max(initial=0.0)
