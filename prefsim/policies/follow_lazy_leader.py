"""Follow the lazy leader: a perturbed leader whose perturbation moves only when the losses push it.

    p uniform in [0, 1/rate)^K, drawn once;    G = p + (1/rate) Z^K
    play argmin_k g(k),    g the one point of the grid G in L_{t-1} + [0, 1/rate)^K

In every round ``g`` is distributed as ``L + `` fresh uniform noise, so that the expected loss is that of follow the perturbed
leader; but ``g`` changes only if some ``L(k)`` passes a point of the grid, with probability at most ``rate l_t(k)`` each. For
oblivious losses in [0, 1]

    E loss regret(t) <= rate K t + 2 / rate,    E changes <= rate sum_s |l_s|_1 <= rate K t

and ``rate = 0`` stands for ``sqrt(2 / (K T (1 + cost)))``, which minimises their priced sum (Kalai and Vempala 2005, recalled).
``fresh = True`` draws ``p`` anew in every round: follow the perturbed leader, with the same loss and changes all the time.
"""

from math import ceil, sqrt
from typing import NamedTuple

from prefsim.ops import Array, floats, uniform

FEEDBACK = "full"
REWARDS = "unit"
ANYTIME = False
BOUND_COVERS = "switching"


class Hyper(NamedTuple):
    """Hyperparameters."""

    rate: float = 0.0
    """Inverse of the width of the perturbation; 0 for ``sqrt(2 / (K T (1 + cost)))``."""
    fresh: bool = False
    """Whether the perturbation is drawn anew in every round."""


class State(NamedTuple):
    """Losses and the grid."""

    loss: Array = floats("arms")
    offset: Array = floats("arms")
    """``rate p``, in [0, 1)."""


def speed(hyper, problem):
    """The rate in force."""
    return hyper.rate if hyper.rate > 0 else sqrt(2 / (problem.arms * problem.horizon * (1 + problem.cost)))


def validate(hyper):
    """Refuse what makes no sense."""
    if not 0 <= hyper.rate <= 1e6:  # points of the grid are whole numbers
        return f"rate must be between 0, for the default, and 1e6; got {hyper.rate:g}."
    return ""


def init(hyper, state, problem):
    """No data."""


def act(hyper, state, problem, t, noise):
    """The smallest coordinate of the grid point above the losses."""
    rate = speed(hyper, problem)
    if t == 1 or hyper.fresh:
        for i in range(problem.arms):
            state.offset[i] = uniform(noise)
    best, least = 0, 0.0
    for i in range(problem.arms):
        point = state.offset[i] + ceil(rate * state.loss[i] - state.offset[i])
        if i == 0 or point < least:
            best, least = i, point
    return best


def learn(hyper, state, problem, t, action, feedback):
    """Charge every arm its loss."""
    for i in range(problem.arms):
        state.loss[i] += 1.0 - feedback[i]


def regret_bound(hyper, truth, problem, t):
    """``(1 + cost) rate K t + 2 / rate``; fresh perturbations may change arms in every round."""
    if problem.arms == 1:
        return 0.0 * t
    rate = speed(hyper, problem)
    changes = t if hyper.fresh else rate * problem.arms * t
    return rate * problem.arms * t + 2 / rate + problem.cost * changes
