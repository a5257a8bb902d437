"""Exp2 for one-sided feedback: exponential weights over a finite class of classifiers, with exact chances of acceptance.

    q_t(f) = exp(-step sum_{s < t} Lhat_s(f)) / normaliser,     P_i = sum_f q_t(f) f(x_i),

with the estimates of the reduction (:mod:`prefsim.policies._one_sided`), deployed as the mixture ``q_t``, from which one
classifier is drawn that decides on all individuals. As ``Lhat >= -(k + C)``, for ``step (k + C) <= 1`` the usual argument
(``e^-x <= 1 - x + x^2`` for ``x >= -1``) gives against any fixed mixture, even if individuals and complaints react to the
past,

    E sum_t L_t(q_t) - L_t(q) <= ln F / step + step sum_t E sum_f q_t(f) Lhat_t(f)^2 <= ln F / step + 2 step t (4 k^2 + C^2),

since ``Lhat^2 <= 2 k sum_i f(x_i) lhat_i^2 + 2 C^2`` and ``sum_f q(f) f(x_i) E lhat_i^2 = P_i + 4 (1 - y_i) (1 - P_i) <=
4`` (derived). ``step = 0`` stands for the best choice, ``sqrt(ln F / (2 T (4 k^2 + C^2)))``, which makes it ``2 sqrt(2 T (4
k^2 + C^2) ln F)``. The same number bounds the regret in errors. (Bubeck, Cesa-Bianchi, Kakade 2012 for Exp2; Bechavod and
Roth 2023 for its use here.)
"""

from math import exp, log, sqrt
from typing import NamedTuple

import numpy as np

from prefsim.ops import Array, draw, floats
from prefsim.policies._limits import complain
from prefsim.policies._one_sided import HINTS, add_losses, individuals, price

FEEDBACK = "semi"
SIDE = "features"
ANYTIME = False
BOUND_COVERS = "one_sided"

__all__ = ["HINTS", "individuals"]


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.0
    """Learning rate; 0 for the theorem's."""
    power: float = 0.25
    """The cost of a complaint is ``C = T^power``."""
    penalty: float = -1.0
    """The cost ``C`` itself; negative for ``T^power``."""


class State(NamedTuple):
    """Estimated losses and the mixture."""

    loss: Array = floats("arms")
    commitment: Array = floats("arms", 1)
    """The mixture deployed."""
    inverse: Array = floats("individuals")
    """``1 / P_i``; 0 for those whom no classifier accepts."""


def rate(hyper, arms, k, horizon):
    """The learning rate in force."""
    return hyper.step if hyper.step > 0 else sqrt(log(arms) / (2 * horizon * (4 * k * k + price(hyper, horizon) ** 2)))


def validate(hyper):
    """Refuse what makes no sense."""
    return complain(hyper, "step")


def init(hyper, state, problem):
    """No losses yet."""


def act(hyper, state, problem, t, noise):
    """Deploy the mixture and draw from it."""
    step = rate(hyper, problem.arms, len(state.inverse), problem.horizon)
    floor, total = state.loss[0], 0.0
    for a in range(1, problem.arms):
        floor = min(floor, state.loss[a])
    for a in range(problem.arms):
        state.commitment[a, 0] = exp(-step * (state.loss[a] - floor))
        total += state.commitment[a, 0]
    for a in range(problem.arms):
        state.commitment[a, 0] /= total
    arm = draw(state.commitment[:, 0], 1.0, noise)
    for i in range(len(state.inverse)):
        chance = 0.0
        for a in range(problem.arms):
            chance += state.commitment[a, 0] * problem.features[a, i]
        state.inverse[i] = 1.0 / chance if chance > 0.0 else 0.0
    return arm


def learn(hyper, state, problem, t, action, feedback):
    """Estimate the losses of all classifiers."""
    add_losses(state.loss, problem.features, feedback, state.inverse, price(hyper, problem.horizon))


def regret_bound(hyper, truth, problem, t):
    """``ln F / step + 2 step t (4 k^2 + C^2)``; NaN where ``step (k + C) > 1``."""
    k, cost = individuals(problem), price(hyper, problem.horizon)
    step = rate(hyper, problem.arms, k, problem.horizon)
    if step * (k + cost) > 1:
        return np.nan * t
    return log(problem.arms) / step + 2 * step * t * (4 * k * k + cost * cost)
