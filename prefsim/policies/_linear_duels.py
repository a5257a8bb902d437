"""What policies for duels of arms with features share: logistic regression on differences, and its ellipsoid.

Arm ``x`` beats ``y`` with probability ``s(<theta*, x - y>)``, ``s`` logistic. With ``z = x - y`` over the duels so far,

    theta = argmin over ||theta|| <= S of  sum_s logloss(won_s, <z_s, theta>) + (kappa ridge / 2) ||theta||^2
    V = ridge I + sum z z^T,    kappa = s'(S L),    L = bound on ||z||, twice that on features

The estimate is fitted afresh when ``det V`` has grown by the factor ``1 + delay`` since the last fit, and estimate and
ellipsoid rest in between; that costs a factor ``sqrt(1 + delay)`` in regret (Abbasi-Yadkori et al. 2011, Lemma 12), and
there are only ``d ln(1 + T L^2 / (d ridge)) / ln(1 + delay)`` fits, each of a few Newton steps over all duels. ``delay = 0``
fits after every duel, which costs O(T^2 d^2) in all. Other rounds cost O(arms d^2).
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import (
    Array,
    add_outer,
    cholesky,
    dot,
    floats,
    integers,
    invert,
    logistic_fit,
    rank_one,
    sigmoid,
    solve,
)

FLOOR = 1e-6
"""Least penalty: where ``kappa`` is tiny, Newton's method needs a curvature well above rounding."""


class State(NamedTuple):
    """The duels so far, their regression, and what a round computes of the arms."""

    rows: Array = floats("horizon", "dimension")
    """Differences ``z`` of the features, in the order of the duels."""
    won: Array = floats("horizon")
    """Whether the first arm won."""
    count: Array = integers(1)
    """Duels so far between different arms."""
    gram: Array = floats("dimension", "dimension")
    """``V`` of all duels."""
    inverse: Array = floats("dimension", "dimension")
    """Its inverse."""
    grown: Array = floats(1)
    """``det V`` over that of the last fit."""
    growth: Array = floats(1)
    """``ln(det V / ridge^d)`` of the last fit."""
    estimate: Array = floats("dimension")
    """``theta`` of the last fit."""
    factor: Array = floats("dimension", "dimension")
    """Lower factor of ``V`` at the last fit."""
    score: Array = floats("arms")
    """``<theta, x>`` of the arms of the round."""
    white: Array = floats("arms", "dimension")
    """``L^-1 x`` for the factor ``L``: its norms are those of ``V^-1``."""
    index: Array = floats("arms")
    played: Array = floats("arms")
    """How often each arm was played."""
    best: Array = floats(1)
    """Value of the best pair offered so far in this round."""
    pair: Array = integers(3)
    """That pair, and how many tie with it."""
    hessian: Array = floats("dimension", "dimension")
    scratch: Array = floats("dimension", "dimension")
    work: Array = floats(4, "dimension")


def begin(ridge, state, problem):
    """No data: ``V`` is the ridge alone and ``theta = 0``."""
    state.grown[0] = 1.0
    for k in range(problem.dimension):
        state.gram[k, k] = ridge
        state.inverse[k, k] = 1.0 / ridge
        state.factor[k, k] = sqrt(ridge)


def describe_arms(state, problem):
    """Score and whiten the arms of the round."""
    for a in range(problem.arms):
        x = problem.features[a]
        state.score[a] = dot(x, state.estimate)
        solve(state.factor, x, False, state.white[a])


def width(state, a):
    """``||x_a||_{V^-1}``."""
    return sqrt(dot(state.white[a], state.white[a]))


def distance(state, a, b):
    """``||x_a - x_b||_{V^-1}``."""
    total = 0.0
    for k in range(state.white.shape[1]):
        move = state.white[a, k] - state.white[b, k]
        total += move * move
    return sqrt(total)


def store(delay, state, problem, action, feedback):
    """Keep a duel; return whether it is time to fit."""
    first, second = action
    state.played[first] += 1.0
    state.played[second] += 1.0
    if first == second:
        return False
    s = state.count[0]
    z = state.rows[s]
    for k in range(problem.dimension):
        z[k] = problem.features[first, k] - problem.features[second, k]
    state.won[s] = feedback
    state.count[0] = s + 1
    add_outer(state.gram, z, 1.0)
    state.grown[0] *= 1.0 + rank_one(state.inverse, z, state.work[0])
    return state.grown[0] > 1.0 + delay


def fit(state, problem, penalty, norm):
    """Fit the estimate with this penalty in this ball, and the ellipsoid."""
    rows, length = state.rows, 2.0 * problem.length
    logistic_fit(
        rows, state.won, state.count[0], penalty, norm, length, state.estimate, state.hessian, state.scratch, state.work
    )
    cholesky(state.gram, state.factor)
    invert(state.gram, state.inverse)
    state.growth[0] += log(state.grown[0])
    state.grown[0] = 1.0


def kappa(problem):
    """Least slope of the link: ``s'(S L)``."""
    chance = sigmoid(-2.0 * problem.norm * problem.length)
    return max(chance * (1.0 - chance), 1e-200)  # so that the radius stays a number


def penalty(ridge, problem):
    """Weight of ``||theta||^2 / 2``."""
    return max(kappa(problem) * ridge, FLOOR)


def learn_in_ball(ridge, delay, state, problem, action, feedback):
    """Keep a duel and, in time, fit the estimate of the ellipsoid."""
    if store(delay, state, problem, action, feedback):
        fit(state, problem, penalty(ridge, problem), problem.norm)
