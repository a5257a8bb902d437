"""Replicator dynamics in discrete time: an action's share grows with its win rate over 1/2.

    pi+(y) = pi(y) (1 + step (P(y > pi) - 1/2))

This is Euler's method for ``pi' = pi (A pi)`` and sums to 1 by itself, because a policy wins against itself half the
time; ``step = 2`` is the exact discrete-time replicator map ``pi+(y) = pi(y) P(y > pi) / (1/2)`` of Maynard Smith (1982).
Plays the game without its regulariser. ``KL(pi*, .)`` to an equilibrium inside the simplex never falls, since
``log(1 + x) <= x``. For ``step <= 1`` and ``|P - 1/2| <= 1/2`` the *average* of the first ``T`` iterates satisfies, with
``D = max_y log 1/pi_0(y)``,

    Gap_0(average) <= 2 (D / (step T) + step / 4)

from ``log(1 + x) >= x - x^2`` for ``x >= -1/2`` (Cesa-Bianchi, Mansour and Stoltz 2007, whose Prod this is).
"""

from math import sqrt
from typing import NamedTuple

from prefsim.ops import Array, log, log_normalize, win_rates


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Step of Euler's method, at most 2; 2 is the replicator map itself."""


class State(NamedTuple):
    """The log-policy."""

    policy: Array


def init(hyper, log_policy):
    """Nothing but the start."""
    return State(log_policy)


def step(hyper, state, game):
    """Grow by fitness; normalising removes rounding. A fitness of 0 or, for payoffs beyond 1/2, less means extinction."""
    fitness = 1 + hyper.step * (win_rates(game.preference, state.policy) - 0.5)
    return State(log_normalize(state.policy + log(fitness)))


def validate(hyper, beta):
    """Shares must stay positive."""
    return "" if hyper.step <= 2 else "step must be at most 2, or an action that always loses gets a negative share."


def average_gap_bound(hyper, beta, initial, spread, t):
    """Bound on the unregularised gap of the average of ``t`` iterates; `spread` is ``D``."""
    return 2 * (spread / (hyper.step * t) + hyper.step / 4) if beta == 0 and hyper.step <= 1 else float("nan")


def temperatures(hyper, beta):
    """No pull; the last iterate turns around the equilibrium without regularisation."""
    return 0.0, 0.0


def theory_step(beta, spread, horizon):
    """The step that minimises the bound at the horizon, ``2 sqrt(D / T)``, at most 1."""
    return min(1.0, 2 * sqrt(spread / horizon))


def amplification(hyper, omega, beta):
    """``|1 + i step omega|^2``, because ``log(1 + x) = x`` to first order: never below 1."""
    return 1 + (hyper.step * omega) ** 2


BOUNDS = {"average_duality_gap": average_gap_bound}
