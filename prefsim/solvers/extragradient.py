"""Extragradient in Euclidean geometry: look ahead by a projected gradient step, then step from where one stood.

    h = Proj(pi + step * P(. > pi)),      pi+ = Proj(pi + step * P(. > h))

Plays the game without its regulariser. Every equilibrium ``pi*`` is approached,

    |pi+ - pi*|^2 <= |pi - pi*|^2 - (1 - step^2 |A|^2) |h - pi|^2,

``|A|`` the largest singular value of the payoff, so the last iterate converges for ``step < 1 / |A|`` (Korpelevich
1976). For ``|P - 1/2| <= 1/2`` and ``n`` actions ``|A| <= cot(pi / (2 n)) / 2 < n / pi``, reached by the odd cyclic
tournaments.
"""

from math import exp, pi
from typing import NamedTuple

from prefsim.ops import Array, normalize, project_simplex, softmax, win_rates

EVALUATIONS = 2


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.25
    """Learning rate, in units of probability / win rate; below ``1 / |A|``."""


class State(NamedTuple):
    """The log-policy."""

    policy: Array


def init(hyper, log_policy):
    """Nothing but the start."""
    return State(log_policy)


def step(hyper, state, game):
    """Two projected steps, both from the current policy."""
    here = softmax(state.policy)
    half = normalize(project_simplex(here + hyper.step * win_rates(game.preference, state.policy)), state.policy)
    return State(normalize(project_simplex(here + hyper.step * win_rates(game.preference, half)), state.policy))


def temperatures(hyper, beta):
    """No pull; the last iterate approaches an equilibrium without regularisation."""
    return 0.0, 0.0


def theory_step(beta, spread, horizon):
    """``pi / n < 1 / |A|`` with ``n <= exp(spread)``, equal for a uniform reference."""
    return pi * exp(-spread)
