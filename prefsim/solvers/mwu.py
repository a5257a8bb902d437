"""Multiplicative weights (MWU) in self-play; SPO, DNO, GPO and exact SPPO are the same tabular step.

    log pi+ = log pi + step * P(. > pi),   then normalised

The reference plays no part beyond being the start. With ``D = max_y log 1/pi_1(y)`` the *average* of the first ``T``
iterates satisfies ``Gap_0(average) <= 2 (D / (step T) + step / 24)`` for payoffs ``|P - 1/2| <= 1/2`` (Freund and Schapire
1999; the constant 1/24 instead of the textbook 1/8 holds in self-play, where win rates lie below a uniform law in convex
order); in log-odds up to ``rho``, ``rho^2 / 6`` replaces 1/24. The last iterate moves away from every full-support
equilibrium. Aliases: ``spo`` (Swamy et al. 2024, arXiv 2401.04056), which is self-play with any no-regret learner: for
another one run that solver, such as ``regret_matching_plus``, ``projected_gradient`` or ``omwu``, and read the same metric
``average_duality_gap``, which is exactly 2 / T times its regret (claim ``spo.any_learner``); ``dno`` (Rosset et al. 2024,
arXiv 2404.03715) and ``gpo`` (Zhang et al. 2024, arXiv 2410.02197), whose steps divide.
"""

from math import sqrt
from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate, in units of 1 / win rate."""


class Spo(NamedTuple):
    """Self-play preference optimisation (SPO) with Hedge as its no-regret learner, which is ``mwu``; use the average."""

    step: float = 0.1
    """Learning rate of Hedge on the rewards ``P(. > pi)``."""


class Dno(NamedTuple):
    """Direct Nash optimisation (DNO), which is ``mwu`` with step ``1 / step``; use the average of the iterates."""

    step: float = 10.0
    """``eta`` of the paper, which divides win rates: larger moves less."""


class Gpo(NamedTuple):
    """General preference optimisation (GPO): ``mwu`` with step ``1 / step``, meant for games with ``transform="log_odds"``."""

    step: float = 10.0
    """``beta`` of the paper, which divides scores; of the order of the largest score or more."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """Exponential weights."""
    return iterate.current + hyper.step * gain


def average_gap_bound(hyper, beta, initial, spread, t):
    """Bound on the unregularised gap of the average of ``t`` iterates; `spread` is ``D``."""
    return 2 * (spread / (hyper.step * t) + hyper.step / 24) if beta == 0 else float("nan")


def theory_step(beta, spread, horizon):
    """The step that minimises the bound at the horizon, ``sqrt(24 D / T)``."""
    return sqrt(24 * spread / horizon)


def temperatures(hyper, beta):
    """No pull; the last iterate turns around the equilibrium without regularisation."""
    return 0.0, 0.0


def amplification(hyper, omega, beta):
    """``|1 + i step omega|^2``: never below 1."""
    return 1 + (hyper.step * omega) ** 2


BOUNDS = {"average_duality_gap": average_gap_bound}


def inverted(parameters, beta):
    """Translate a step that divides into ours."""
    if parameters.step <= 0:
        raise ValueError(f"step must be positive, because win rates are divided by it; got {parameters.step:g}.")
    return Hyper(step=1 / parameters.step)


ALIASES = {"spo": (Spo, lambda parameters, beta: Hyper(parameters.step)), "dno": (Dno, inverted), "gpo": (Gpo, inverted)}
