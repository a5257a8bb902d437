"""Multiplicative weights (MWU) in self-play; SPO, exact SPPO and DNO are the same tabular step.

    log pi+ = log pi + step * P(. > pi),   then normalised

The reference plays no part beyond being the start. With ``D = max_y log 1/pi_1(y)`` the *average* of the first ``T``
iterates satisfies, for payoffs ``|P - 1/2| <= 1/2``,

    Gap_0(average) <= 2 (D / (step T) + step / 24)

(Freund and Schapire 1999; the constant 1/24 instead of the textbook 1/8 holds in self-play, where win rates lie below a
uniform law in convex order). The last iterate moves away from every full-support equilibrium.
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate, in units of 1 / win rate."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """Exponential weights."""
    return iterate.current + hyper.step * gain


def average_gap_bound(hyper, beta, initial, spread, t):
    """Bound on the unregularised gap of the average of ``t`` iterates; `spread` is ``D``."""
    return 2 * (spread / (hyper.step * t) + hyper.step / 24) if beta == 0 else float("nan")


BOUNDS = {"average_duality_gap": average_gap_bound}
