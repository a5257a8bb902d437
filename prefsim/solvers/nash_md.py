"""Nash mirror descent (Nash-MD): play against a geometric mixture of the policy and the reference.

    m  =  pi^(1 - step beta) mu^(step beta)  normalised,      log pi+ = log m + step * P(. > m),   then normalised

With ``schedule`` the step is ``2 / (beta (t + 2))`` for ``t = 0, 1, ...``; then ``KL(pi*, pi_T) <= 8 / (beta^2 (T + 1))``
(Munos et al. 2024, arXiv 2312.00886, Theorem 1), and in fact ``<= 1 / (6 beta^2 (T + 1))`` for ``|P - 1/2| <= 1/2``.
With a constant step it converges to the best response to the equilibrium at the higher temperature
``beta / (1 - step beta)``, in general not the regularised equilibrium.
"""

from math import inf, nan
from typing import NamedTuple

from prefsim.ops import log_normalize


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Constant learning rate; ``step * beta`` is the weight on the reference and at most 1."""
    schedule: bool = False
    """Use the theorem's decreasing steps instead of `step`."""


def steps(hyper, iterate):
    """The step in force and the reference's weight."""
    step = 2 / (iterate.beta * (iterate.t + 2)) if hyper.schedule else hyper.step
    return step, step * iterate.beta


def opponent(hyper, iterate, phase):
    """The geometric mixture."""
    step, pull = steps(hyper, iterate)
    return log_normalize((1 - pull) * iterate.current + pull * iterate.reference)


def target(hyper, iterate, gain, phase):
    """Exponential weights from the mixture."""
    step, pull = steps(hyper, iterate)
    return (1 - pull) * iterate.current + pull * iterate.reference + step * gain


def validate(hyper, beta):
    """The reference's weight must not exceed 1, and the schedule needs regularisation."""
    if hyper.schedule:
        return "" if beta > 0 else "the schedule 2 / (beta (t + 2)) needs beta > 0; give the game a temperature."
    return f"step * beta must be at most 1; choose step <= {1 / beta:.12g}." if hyper.step * beta > 1 + 1e-9 else ""


def kl_bound(hyper, beta, initial, spread, t):
    """The scheduled bound ``1 / (6 beta^2 (t + 1))``, ``t >= 1``."""
    return 1 / (6 * beta**2 * (t + 1)) if hyper.schedule else float("nan")


def temperatures(hyper, beta):
    """At a constant step the mixture comes to rest at the equilibrium for ``beta / (1 - step beta)``."""
    kept = 1 if hyper.schedule else 1 - hyper.step * beta
    return beta, beta / kept if kept > 0 else inf


def amplification(hyper, omega, beta):
    """Squared error factor at its own fixed point, ``z = (1 - step beta)(1 + i step omega)``, `omega` at the mixture.

    NaN on the schedule, whose steps vanish.
    """
    return nan if hyper.schedule else (1 - hyper.step * beta) ** 2 * (1 + (hyper.step * omega) ** 2)


BOUNDS = {"kl_to_equilibrium": kl_bound}
