"""Self-play preference optimisation by regression (SPPO), with the exact normaliser or its published stand-in.

The loss ``E_pi [log pi+/pi - g + log Z]^2``, ``g = step (P(. > pi) - 1/2)``, ``Z = E_pi exp(g)``, has the minimiser

    log pi+ = log pi + g - log Z,

which is ``mwu`` with its bound on the average iterate. In practice ``log Z`` is replaced by 0 (by ``step / 2`` where ``g``
is not centred); with ``half_partition`` the step is the exact minimiser of that loss over policies,

    log pi+ = log pi + u,      u + kappa exp(u) = g,  i.e.  exp(u) = W(kappa exp(g)) / kappa,

``W`` Lambert's function and ``kappa >= 0`` such that ``pi+`` sums to 1. It agrees with ``mwu`` to leading order in the
step, ``0 <= log Z <= step^2 / 24`` for ``|P - 1/2| <= 1/2``, and moves far less at the steps used with language models.
Win rates so noisy that ``Z < 1`` leave ``kappa = 0``. Source: Wu et al. 2024 (arXiv 2405.00675); minimiser derived.
"""

from math import inf
from typing import NamedTuple

from prefsim.ops import choose, clip, exp, log, log_normalize


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """``eta`` of the paper, which multiplies win rates."""
    half_partition: bool = False
    """Whether ``log Z`` is replaced by ``step / 2``."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def log_lambert(values):
    """``v`` with ``v + exp(v) = values``, i.e. ``log W(exp(values))``, by Newton's method from above."""
    v = log(clip(values, 1.0, inf)) + clip(values, -inf, 0.0)
    for _ in range(6):
        v = v - (v + exp(v) - values) / (1 + exp(v))
    return v


def log_total(values):
    """``log sum exp``, with the last axis kept."""
    return (values - log_normalize(values))[..., :1]


def minimiser(log_policy, change):
    """``u`` above for ``g = change``, by bisection on ``log kappa``."""
    # kappa <= log Z by comparing the losses of the two minimisers, and kappa >= log Z exp(-max g).
    high = log(clip(log_total(log_policy + change), 1e-300, inf))
    low = high - log_total(change)
    for _ in range(60):
        middle = (low + high) / 2
        heavy = log_total(log_policy + log_lambert(change + middle))[..., 0] > middle[..., 0]
        low, high = choose(heavy, middle, low), choose(heavy, high, middle)
    return change - exp(log_lambert(change + high))


def target(hyper, iterate, gain, phase):
    """The minimiser of the loss."""
    change = hyper.step * (gain - 0.5)
    return iterate.current + (minimiser(iterate.current, change) if hyper.half_partition else change)


def average_gap_bound(hyper, beta, initial, spread, t):
    """Bound of ``mwu`` on the unregularised gap of the average of ``t`` iterates, for the exact normaliser."""
    covered = beta == 0 and not hyper.half_partition
    return 2 * (spread / (hyper.step * t) + hyper.step / 24) if covered else float("nan")


def temperatures(hyper, beta):
    """No pull; the last iterate turns around the equilibrium without regularisation."""
    return 0.0, 0.0


def amplification(hyper, omega, beta):
    """``|1 + i step omega|^2`` as for ``mwu``; ``u = g - kappa`` to first order, as ``g = 0`` at rest with full support."""
    return 1 + (hyper.step * omega) ** 2


BOUNDS = {"average_duality_gap": average_gap_bound}
