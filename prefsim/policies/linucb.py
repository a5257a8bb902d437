"""LinUCB with the exact radius of OFUL: optimism over the confidence ellipsoid of ridge regression.

With ``V = lambda I + sum x x^T`` over the played features, ``b = sum reward x`` and ``theta = V^-1 b``, play

    argmax_a <x_a, theta> + radius ||x_a||_{V^-1}
    radius = sqrt(lambda) S + R sqrt(2 ln(1 / delta) + ln(det V / lambda^d))

where ``S`` bounds the parameter's norm and ``R`` is the noise's sub-Gaussian parameter, both told by the problem. The true
parameter lies in all ellipsoids with probability ``1 - delta`` (Abbasi-Yadkori, Pal, Szepesvari 2011, Theorem 2), and then

    regret(T) <= sqrt(8 T max(S L, radius_T)^2 ln(det V_T / lambda^d)),  ln(det V_T / lambda^d) <= d ln(1 + T L^2 / (d lambda))

because a round's gap is at most ``2 S L`` and at most ``2 radius ||x||_{V^-1}`` (Lattimore and Szepesvari, Bandit Algorithms,
Theorem 19.2, there with gaps at most 1; derived in this form). The expected regret is larger by at most ``2 S L delta T``.
``delta = 0`` stands for ``1 / T``. After playing ``x`` with ``u = V^-1 x`` and ``q = x^T u``, rank-one updates give everything:

    V'^-1 = V^-1 - u u^T / (1 + q)                  det V' = (1 + q) det V
    theta' = theta + u (reward - <x, theta>) / (1 + q)
    ||x_a||^2_{V'^-1} = ||x_a||^2_{V^-1} - <x_a, u>^2 / (1 + q)

so that a round costs ``arms * dimension`` while the features stay; those that change are looked at afresh. The inverse is
computed anew every 10000 rounds and at powers of two, before rounding adds up. Ties are broken uniformly at random.
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, add_outer, argmax_random, copy_changed, dot, floats, invert, multiply, quadratic, rank_one
from prefsim.policies._limits import complain

FEEDBACK = "bandit"
SIDE = "features"
ANYTIME = False
BOUND_COVERS = "contextual"

REFRESH = 10_000
"""Rounds between fresh inversions, late; early they come at powers of two."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    ridge: float = 1.0
    """The ridge parameter ``lambda``."""
    delta: float = 0.0
    """Probability that the ellipsoids miss the parameter; 0 for ``1 / T``."""
    scale: float = 1.0
    """Factor on the theorem's radius."""


class State(NamedTuple):
    """Ridge regression."""

    gram: Array = floats("dimension", "dimension")
    """``V``."""
    inverse: Array = floats("dimension", "dimension")
    """``V^-1``."""
    moment: Array = floats("dimension")
    """``b``, the sum of reward times features."""
    estimate: Array = floats("dimension")
    """``theta = V^-1 b``."""
    growth: Array = floats(1)
    """``ln(det V / lambda^d)``."""
    seen: Array = floats("arms", "dimension")
    """Features that `mean` and `square` belong to."""
    mean: Array = floats("arms")
    """``<x_a, theta>``."""
    square: Array = floats("arms")
    """``||x_a||^2_{V^-1}``."""
    index: Array = floats("arms")
    direction: Array = floats("dimension")
    """``u``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "scale")


def init(hyper, state, problem):
    """No data: ``V`` is the ridge alone."""
    for k in range(problem.dimension):
        state.gram[k, k] = hyper.ridge
        state.inverse[k, k] = 1.0 / hyper.ridge


def radius(hyper, problem, growth):
    """Radius of the ellipsoid when ``ln(det V / lambda^d)`` is `growth`."""
    surprise = -log(hyper.delta) if hyper.delta > 0.0 else log(problem.horizon)
    return sqrt(hyper.ridge) * problem.norm + problem.deviation * sqrt(2.0 * surprise + growth)


def look(state, a):
    """Compute what the index of one arm needs."""
    state.mean[a] = dot(state.seen[a], state.estimate)
    state.square[a] = quadratic(state.inverse, state.seen[a])


def act(hyper, state, problem, t, noise):
    """Play the largest upper bound."""
    width = hyper.scale * radius(hyper, problem, state.growth[0])
    for a in range(problem.arms):
        if copy_changed(problem.features[a], state.seen[a]):
            look(state, a)
        state.index[a] = state.mean[a] + width * sqrt(max(0.0, state.square[a]))
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the regression."""
    x = state.seen[action]
    square = rank_one(state.inverse, x, state.direction)
    add_outer(state.gram, x, 1.0)
    state.growth[0] += log(1.0 + square)
    shrink = 1.0 / (1.0 + square)
    move = shrink * (feedback - dot(x, state.estimate))
    for k in range(problem.dimension):
        state.moment[k] += feedback * x[k]
        state.estimate[k] += move * state.direction[k]
    for a in range(problem.arms):
        along = dot(state.seen[a], state.direction)
        state.mean[a] += move * along
        state.square[a] -= shrink * along * along
    if t % REFRESH == 0 or t & (t - 1) == 0:
        invert(state.gram, state.inverse)
        multiply(state.inverse, state.moment, state.estimate)
        for a in range(problem.arms):
            look(state, a)


def regret_bound(hyper, truth, problem, t):
    """The theorem with its largest determinant, plus what the rounds cost when an ellipsoid misses; NaN if rescaled."""
    if hyper.scale != 1.0:
        return np.full(np.shape(t), np.nan)
    t = np.asarray(t, dtype=float)
    growth = problem.dimension * np.log1p(t * problem.length**2 / (problem.dimension * hyper.ridge))
    largest = 2.0 * problem.norm * problem.length
    width = np.array([max(largest / 2.0, radius(hyper, problem, g)) for g in growth])
    miss = hyper.delta if hyper.delta > 0.0 else 1.0 / problem.horizon
    return np.sqrt(8.0 * t * width**2 * growth) + miss * t * largest
