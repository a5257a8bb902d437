"""Optimistic multiplicative weights (OMWU) in self-play; ONPO is the same iteration.

    x+ = x exp(step * P(. > y)),      y+ = x+ exp(step * P(. > y)),   both normalised

``y`` is played and ``x`` is auxiliary, with the same start: the last win rates serve as a guess of the next, at one
evaluation an iteration. With ``D = max_y log 1/x_1(y)``, payoffs ``|P - 1/2| <= 1/2`` and ``step <= 1`` the *average* of
the first ``T`` iterates satisfies

    Gap_0(average) <= (2 / T) (D / step + step / (24 - 12 step^2)),     at step 1/2:  (4 D + 1/21) / T

(derived from the exact energy identity of the step; optimism: Rakhlin and Sridharan 2013). Where an equilibrium has full
support the last iterate converges, locally for ``step * omega < 1 / sqrt(3)``, ``omega`` the largest rotation frequency of
the game there; it can be arbitrarily slow. The reference plays no part beyond being the start. Alias: ``onpo`` (Zhang et
al. 2025, arXiv 2502.16852).
"""

from math import sqrt
from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.5
    """Learning rate, in units of 1 / win rate."""


class Onpo(NamedTuple):
    """Optimistic Nash policy optimisation (ONPO), which is ``omwu`` under its own name."""

    step: float = 0.5
    """``eta`` of the paper, which multiplies win rates (INPO's divides them)."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """The auxiliary policy after its move, and the same move once more."""
    return iterate.auxiliary + 2 * hyper.step * gain


def auxiliary(hyper, iterate, gain):
    """Exponential weights."""
    return iterate.auxiliary + hyper.step * gain


def average_gap_bound(hyper, beta, initial, spread, t):
    """Bound on the unregularised gap of the average of ``t`` iterates; `spread` is ``D``."""
    covered = beta == 0 and hyper.step <= 1
    return 2 / t * (spread / hyper.step + hyper.step / (24 - 12 * hyper.step**2)) if covered else float("nan")


def theory_step(beta, spread, horizon):
    """The step of the printed bound."""
    return 0.5


def temperatures(hyper, beta):
    """No pull; the last iterate turns around the equilibrium without regularisation."""
    return 0.0, 0.0


def amplification(hyper, omega, beta):
    """Larger ``|z|^2`` of the roots of ``z^2 - (1 + 2 i x) z + i x = 0``, ``x = step omega``; 1 at ``x = 1 / sqrt(3)``.

    The errors ``e`` of the auxiliary and ``f`` of the played policy obey ``e+ = e + i x f`` and ``f+ = e+ + i x f``, hence
    ``f+ = (1 + 2 i x) f - i x f-``. Slower modes shrink less, and that of `omega` is the first to grow.
    """
    x = hyper.step * omega
    if x <= 0.5:
        return (1 + sqrt(1 - 4 * x**2)) / 2
    return (1 + (2 * x + sqrt(4 * x**2 - 1)) ** 2) / 4


BOUNDS = {"average_duality_gap": average_gap_bound}

ALIASES = {"onpo": (Onpo, lambda parameters, beta: Hyper(parameters.step))}
