"""Iterative Nash policy optimisation (INPO): mirror descent whose step is an inverse rate.

    log pi+ = (1 - beta / step) log pi + (beta / step) log mu + P(. > pi) / step,   then normalised

With a constant step it is ``omd`` with learning rate ``1 / step``, and ``step >= beta + 1 / (4 beta)`` gives
``KL(pi*, pi_T) <= (1 - beta / step)^T KL(pi*, pi_0)`` (derived). With ``schedule`` the step is ``beta (t + 2) / 2`` for
``t = 0, 1, ...``, whose first move jumps to ``mu exp(P(. > pi_0) / beta)`` from anywhere; then
``KL(pi*, pi_T) <= 32 / (beta^2 (T + 1))``, for payoffs ``|P - 1/2| <= 1/2`` (Zhang et al. 2025, arXiv 2407.00617;
their constant ``C`` of log-ratios is 1 because those never exceed ``1 / beta``).
"""

from math import inf, nan
from typing import NamedTuple

INVERSE_STEP = True


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 10.0
    """``eta`` of the paper, which divides win rates: larger moves less. At least the game's ``beta``."""
    schedule: bool = False
    """Use the theorem's increasing ``eta`` instead of `step`."""


def rate(hyper, iterate):
    """The learning rate in force, the inverse of the paper's ``eta``."""
    return 2 / (iterate.beta * (iterate.t + 2)) if hyper.schedule else 1 / hyper.step


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """Pull towards the reference, then exponential weights."""
    pull = rate(hyper, iterate) * iterate.beta
    return (1 - pull) * iterate.current + pull * iterate.reference + rate(hyper, iterate) * gain


def validate(hyper, beta):
    """The reference's weight must not exceed 1, and the schedule needs regularisation."""
    if hyper.schedule:
        return "" if beta > 0 else "the schedule beta (t + 2) / 2 needs beta > 0; give the game a temperature."
    return f"step is an inverse rate here and must be at least beta; choose step >= {beta:g}." if hyper.step < beta else ""


def kl_bound(hyper, beta, initial, spread, t):
    """The scheduled bound from any start, ``t >= 1``, or the linear one within the theorem's constant steps."""
    if hyper.schedule:
        return 32 / (beta**2 * (t + 1))
    covered = beta > 0 and hyper.step >= beta + 1 / (4 * beta)
    return (1 - beta / hyper.step) ** t * initial if covered else float("nan")


def theory_step(beta, spread, horizon):
    """Smallest constant ``step`` of the contraction theorem; there is none without regularisation."""
    return beta + 1 / (4 * beta) if beta > 0 else inf


def amplification(hyper, omega, beta):
    """``|z|^2`` of ``omd`` at rate ``1 / step``: below 1 for ``step > (omega^2 + beta^2) / (2 beta)``. NaN on the schedule.

    The schedule's rate vanishes, so that no factor is constant and no step too large.
    """
    return nan if hyper.schedule else (1 - beta / hyper.step) ** 2 + (omega / hyper.step) ** 2


BOUNDS = {"kl_to_equilibrium": kl_bound}
