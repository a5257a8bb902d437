"""APOHF with a linear score: the best arm by the score meets the rival with the largest upper bound.

The score ``f(x) = <theta, x>`` minimises ``sum_s logloss(won_s, <z_s, theta>) + (ridge / 2) ||theta||^2`` over the
differences ``z = x - y`` of the duels so far. After `start` duels of random distinct pairs,

    x = argmax f,    y = argmax over y != x of  f(y) + sqrt(nu (y - x)^T U^-1 (y - x)),    U = ridge I + sum z z^T

where only the diagonal of ``U`` is kept unless `full`. The rule is that of Lin et al. 2024, "Prompt optimization with human
feedback" (constants from their code), whose score is a neural network and whose ``z`` are gradients; ``prefsim.neural_duels``
has that one. There it asks 150 queries. With the full matrix and ``beta^2 = nu`` it is the greedy arm against its upper
bound, which costs at most ``1.5 beta ||x - y||_{V^-1}`` a round if the ellipsoid holds and ``y = x`` is allowed
(``distinct = False``; derived). `delay` spares fits as in every policy for linear duels; the authors fit after every query.
It recommends the best of the arms queried. Ties are broken uniformly at random.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import argmax_random, uniform
from prefsim.policies._limits import complain
from prefsim.policies._linear_duels import (
    State,  # noqa: F401
    begin,
    describe_arms,
    distance,
    fit,
    store,
)

FEEDBACK = "duel"
SIDE = "features"
ANYTIME = False

ANYWHERE = 1e100
"""Radius of the ball of scores: none."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    nu: float = 1.0
    """Exploration."""
    ridge: float = 0.1
    """The penalty ``lambda``."""
    full: bool = False
    """Whether ``U`` is kept whole."""
    distinct: bool = True
    """Whether the arms of a duel must differ."""
    start: int = 5
    """Duels of random pairs at the start."""
    delay: float = 0.1
    """Growth of ``det V`` between fits, as a share; 0 to fit after every duel."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "nu", "start", "delay")


def init(hyper, state, problem):
    """No data."""
    begin(hyper.ridge, state, problem)


def act(hyper, state, problem, t, noise):
    """The best arm and its most hopeful rival."""
    if t <= hyper.start:
        first = int(uniform(noise) * problem.arms)
        second = int(uniform(noise) * (problem.arms - 1))
        return first, second + (1 if second >= first else 0)
    describe_arms(state, problem)
    first = argmax_random(state.score, noise)
    for a in range(problem.arms):
        state.index[a] = state.score[a] + sqrt(hyper.nu) * distance(state, a, first)
    if hyper.distinct:
        state.index[first] = -np.inf
    return first, argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Keep the duel and, in time, fit the score."""
    if store(hyper.delay, state, problem, action, feedback):
        fit(state, problem, hyper.ridge, ANYWHERE)
        if not hyper.full:
            for i in range(problem.dimension):
                for k in range(i):
                    state.factor[i, k] = 0.0
                state.factor[i, i] = sqrt(state.gram[i, i])


def recommend(hyper, state, problem, t):
    """The best by the score of the arms played."""
    describe_arms(state, problem)
    best = -1
    for a in range(problem.arms):
        if state.played[a] > 0.0 and (best < 0 or state.score[a] > state.score[best]):
            best = a
    return best
