"""What MaxInP and VACDB share: hyperparameters, the derived radius and its regret bound, and ties over pairs.

With the logistic regression ``theta`` and its matrix ``V`` (as in every policy for linear duels), with probability
``1 - delta``, ``||theta - theta*||_V <= beta`` at all times, where

    beta = (1 / (2 kappa)) sqrt(2 ln(1 / delta) + ln(det V / ridge^d)) + sqrt(ridge) S,    kappa = s'(S L)

Derived: ``theta`` minimises over a ball that holds ``theta*``, so ``kappa ||theta - theta*||_V^2 <= <-grad(theta*), theta -
theta*>``, the gradient's noise is a sum of 1/2-sub-Gaussian terms (Abbasi-Yadkori, Pal, Szepesvari 2011, Theorem 1), and
its penalty part has norm at most ``kappa sqrt(ridge) S``. The radius ``eta`` usually printed (recalled) is smaller by the
square root of 2 and has no such term.
"""

from math import log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import TIE, uniform
from prefsim.policies._limits import complain
from prefsim.policies._linear_duels import begin, kappa, learn_in_ball, penalty


class Hyper(NamedTuple):
    """Hyperparameters."""

    ridge: float = 1.0
    """The ridge parameter."""
    delta: float = 0.0
    """Probability that an ellipsoid misses the parameter; 0 for ``1 / T``."""
    scale: float = 1.0
    """Factor on the radius."""
    practical: bool = False
    """Whether the radius is ``sqrt(d ln(1 + t / d) + 1)``, which no theorem covers, instead of the derived one."""
    delay: float = 0.5
    """Growth of ``det V`` between fits, as a share; 0 to fit after every duel."""


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "scale", "delay")


def init(hyper, state, problem):
    """No data."""
    begin(hyper.ridge, state, problem)


def learn(hyper, state, problem, t, action, feedback):
    """Update the regression."""
    learn_in_ball(hyper.ridge, hyper.delay, state, problem, action, feedback)


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
