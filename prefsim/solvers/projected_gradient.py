"""Projected gradient ascent in self-play: a step along the win rates, then the nearest point of the simplex.

    pi+ = Proj(pi + step * P(. > pi))        in Euclidean distance

Plays the game without its regulariser. For ``n`` actions and ``|P - 1/2| <= 1/2`` the *average* of the first ``T``
iterates satisfies

    Gap_0(average) <= 2 / (step T) + step n / 4

(Zinkevich 2003, with squared diameter 2 and squared gradients ``|A pi|^2 <= n / 4``). The last iterate moves away from an
equilibrium inside the simplex: before projection ``|pi+ - pi*|^2 = |pi - pi*|^2 + step^2 |A pi|^2``.
"""

from math import exp, sqrt
from typing import NamedTuple

from prefsim.ops import Array, normalize, project_simplex, softmax, win_rates


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate, in units of probability / win rate."""


class State(NamedTuple):
    """The log-policy."""

    policy: Array


def init(hyper, log_policy):
    """Nothing but the start."""
    return State(log_policy)


def step(hyper, state, game):
    """Ascend and project."""
    moved = softmax(state.policy) + hyper.step * win_rates(game.preference, state.policy)
    return State(normalize(project_simplex(moved), state.policy))


def average_gap_bound(hyper, beta, initial, spread, t):
    """``2 / (step t) + step n / 4`` with ``n <= exp(spread)``, equal for a uniform start."""
    return 2 / (hyper.step * t) + hyper.step * exp(spread) / 4 if beta == 0 and spread < 700 else float("nan")


def temperatures(hyper, beta):
    """No pull; the last iterate turns around the equilibrium without regularisation."""
    return 0.0, 0.0


def theory_step(beta, spread, horizon):
    """The step that minimises the bound at the horizon, ``sqrt(8 / (n T))`` with ``n <= exp(spread)``."""
    return sqrt(8 / horizon) * exp(-spread / 2)


BOUNDS = {"average_duality_gap": average_gap_bound}
