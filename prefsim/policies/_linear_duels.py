"""What policies for duels of arms with features share: logistic regression on differences, its ellipsoid, ties over pairs.

Arm ``x`` beats ``y`` with probability ``s(<theta*, x - y>)``, ``s`` logistic. With ``z = x - y`` over the duels so far,

    theta = argmin over ||theta|| <= S of  sum_s logloss(won_s, <z_s, theta>) + (kappa ridge / 2) ||theta||^2
    V = ridge I + sum z z^T,    kappa = s'(S L),    L = bound on ||z||, twice that on features

and, with probability ``1 - delta``, ``||theta - theta*||_V <= beta`` at all times, where

    beta = (1 / (2 kappa)) sqrt(2 ln(1 / delta) + ln(det V / ridge^d)) + sqrt(ridge) S

Derived: ``theta`` minimises over a ball that holds ``theta*``, so ``kappa ||theta - theta*||_V^2 <= <-grad(theta*), theta -
theta*>``, the gradient's noise is a sum of 1/2-sub-Gaussian terms (Abbasi-Yadkori, Pal, Szepesvari 2011, Theorem 1), and
its penalty part has norm at most ``kappa sqrt(ridge) S``. The radius ``eta`` usually printed (recalled) is smaller by the
square root of 2 and has no such term.

The estimate is fitted afresh when ``det V`` has grown by the factor ``1 + delay`` since the last fit, and estimate and
ellipsoid rest in between; that costs a factor ``sqrt(1 + delay)`` in regret (Abbasi-Yadkori et al. 2011, Lemma 12), and
there are only ``d ln(1 + T L^2 / (d ridge)) / ln(1 + delay)`` fits, each of a few Newton steps over all duels. ``delay = 0``
fits after every duel, which costs O(T^2 d^2) in all. Other rounds cost O(arms d^2).
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import (
    TIE,
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
    uniform,
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


def no_offers(state):
    """Forget the best pair of the last round."""
    state.best[0] = -np.inf
    state.pair[2] = 0


def offer(state, a, b, value, noise):
    """Keep the best pair offered, uniformly among those that tie."""
    if value > state.best[0] + TIE:
        state.best[0] = value
        state.pair[2] = 0
    elif value < state.best[0] - TIE:
        return
    state.pair[2] += 1
    if state.pair[2] == 1 or uniform(noise) * state.pair[2] < 1.0:
        state.pair[0] = a
        state.pair[1] = b


def best_pair(state, noise):
    """The best pair offered, in random order."""
    if uniform(noise) < 0.5:
        return state.pair[0], state.pair[1]
    return state.pair[1], state.pair[0]


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


def derived_radius(ridge, delta, problem, growth):
    """``beta`` when ``ln(det V / ridge^d)`` is `growth`; ``delta = 0`` stands for ``1 / T``."""
    surprise = -log(delta) if delta > 0.0 else log(problem.horizon)
    slope = kappa(problem)
    prior = penalty(ridge, problem) / (slope * sqrt(ridge)) * problem.norm
    return sqrt(2.0 * surprise + growth) / (2.0 * slope) + prior


def radius(hyper, state, problem, t):
    """The radius in force: derived or, if `practical`, ``sqrt(d ln(1 + t / d) + 1)``; times `scale`."""
    if hyper.practical:
        return hyper.scale * sqrt(problem.dimension * log(1.0 + t / problem.dimension) + 1.0)
    return hyper.scale * derived_radius(hyper.ridge, hyper.delta, problem, state.growth[0])


def complain(hyper):
    """Refuse a radius that makes no sense."""
    if hyper.ridge <= 0:
        return f"ridge must be > 0; got {hyper.ridge:g}."
    if hyper.delay < 0:
        return f"delay must be >= 0, 0 to fit after every duel; got {hyper.delay:g}."
    if hyper.scale < 0:
        return f"scale must be >= 0; got {hyper.scale:g}."
    return f"delta must lie in [0, 1), 0 for 1 / T; got {hyper.delta:g}." if not 0 <= hyper.delta < 1 else ""


def bound(hyper, problem, t, constant):
    """Bound on the expected regret of a rule that pays at most ``constant beta ||z||_{V^-1}`` a round when ``beta`` holds.

    ``sum_t min(1, ||z_t||^2) <= 2 ln(det V_T / ridge^d) <= 2 d ln(1 + T L^2 / (d ridge))`` (Abbasi-Yadkori et al. 2011,
    Lemma 11), and ``||z||^2 <= L^2 / ridge`` where that exceeds 1. A miss costs at most ``S L`` a round.
    """
    t = np.asarray(t, dtype=float)
    if hyper.practical or hyper.scale != 1.0:
        return np.full(t.shape, np.nan)
    length = 2.0 * problem.length
    growth = problem.dimension * np.log1p(t * length**2 / (problem.dimension * hyper.ridge))
    beta = np.vectorize(lambda g: derived_radius(hyper.ridge, hyper.delta, problem, g))(growth)
    widths = np.sqrt(2.0 * t * max(1.0, length**2 / hyper.ridge) * growth * (1.0 + hyper.delay))
    miss = hyper.delta if hyper.delta > 0.0 else 1.0 / problem.horizon
    return constant * beta * widths + miss * t * problem.norm * length
