"""Extragradient preference optimisation (EGPO), the same algorithm as Nash mirror prox (``mirror_prox``).

    log pi_half = (1 - step beta) log pi + step beta log mu + step * P(. > pi)
    log pi+     = (1 - step beta) log pi + step beta log mu + step * P(. > pi_half)

each normalised; both moves start from ``pi``. For ``step <= 2 (sqrt(1 + beta^2) - beta)``, in particular for
``step <= 2 / (1 + 2 beta)``, and ``|P - 1/2| <= 1/2``: ``KL(pi*, pi_T) <= (1 - step beta)^T KL(pi*, pi_0)`` (Zhou, Fazel,
Du 2025, arXiv 2503.08942; constants derived in the documentation). ``mirror_prox`` divides the game by ``beta``: its
step ``eta`` is ours through ``step beta = eta / (1 + eta)``, and ``eta <= 2 beta`` gives the factor ``1 / (1 + eta)``
(Tiapkin et al. 2025, arXiv 2505.19731).
"""

from math import sqrt
from typing import NamedTuple

PHASES = 2


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.5
    """Learning rate; ``step * beta`` is the weight on the reference and at most 1."""


class MirrorProx(NamedTuple):
    """Nash mirror prox (Nash-MP), which is ``egpo`` in another parametrisation."""

    step: float = 0.1
    """``eta`` of the divided game; the theorem needs ``eta <= 2 beta``."""


def opponent(hyper, iterate, phase):
    """First the policy itself, then the half-step."""
    return iterate.current if phase == 0 else iterate.half


def target(hyper, iterate, gain, phase):
    """Both moves are the mirror-descent step from the current policy."""
    pull = hyper.step * iterate.beta
    return (1 - pull) * iterate.current + pull * iterate.reference + hyper.step * gain


def validate(hyper, beta):
    """The reference's weight must not exceed 1."""
    return f"step * beta must be at most 1; choose step <= {1 / beta:.12g}." if hyper.step * beta > 1 + 1e-9 else ""


def kl_bound(hyper, beta, initial, spread, t):
    """``(1 - step beta)^t KL_0`` within the theorem's step sizes."""
    covered = beta > 0 and hyper.step <= 2 * (sqrt(1 + beta**2) - beta)
    return (1 - hyper.step * beta) ** t * initial if covered else float("nan")


def theory_step(beta, spread, horizon):
    """Largest step of the linear rate."""
    return 2 * (sqrt(1 + beta**2) - beta)


def amplification(hyper, omega, beta):
    """Largest ``|z|^2`` over modes, ``z = (1 - c)(1 + i x) - x^2``, ``x = step omega``: convex in ``x^2``.

    Without a pull a mode that does not turn leads from one equilibrium to another and does not count.
    """
    c, square = hyper.step * beta, (hyper.step * omega) ** 2
    turning = (1 - c - square) ** 2 + (1 - c) ** 2 * square
    return max((1 - c) ** 2, turning) if c > 0 else turning


BOUNDS = {"kl_to_equilibrium": kl_bound}


def from_mirror_prox(parameters, beta):
    """Translate Nash-MP's step to ours; the divided game needs ``beta > 0``."""
    if beta <= 0:
        raise ValueError("mirror_prox divides the game by beta and needs beta > 0; use egpo for beta = 0.")
    return Hyper(step=parameters.step / (beta * (1 + parameters.step)))


ALIASES = {"mirror_prox": (MirrorProx, from_mirror_prox)}
