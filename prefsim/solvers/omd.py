"""Online mirror descent (OMD) on the KL-regularised game; Online-IPO and the INPO step are the same update.

    log pi+ = (1 - step beta) log pi + step beta log mu + step * P(. > pi),   then normalised

For ``step <= 4 beta / (1 + 4 beta^2)`` and ``|P - 1/2| <= 1/2``, ``KL(pi*, .)`` shrinks by at least ``1 - step beta`` a
step. Locally it is stable exactly for ``step < 2 beta / (omega^2 + beta^2)``, ``omega`` the largest rotation frequency of
the game at ``pi*``; beyond that self-play cycles (Munos et al. 2024, arXiv 2312.00886; Zhang et al. 2025, arXiv
2407.00617; constants derived in the documentation).
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate; ``step * beta`` is the weight on the reference and at most 1."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """Pull towards the reference, then exponential weights."""
    pull = hyper.step * iterate.beta
    return (1 - pull) * iterate.current + pull * iterate.reference + hyper.step * gain


def validate(hyper, beta):
    """The reference's weight must not exceed 1."""
    return f"step * beta must be at most 1; choose step <= {1 / beta:.12g}." if hyper.step * beta > 1 + 1e-9 else ""


def kl_bound(hyper, beta, initial, spread, t):
    """``(1 - step beta)^t KL_0`` within the theorem's step sizes."""
    covered = beta > 0 and hyper.step <= 4 * beta / (1 + 4 * beta**2)
    return (1 - hyper.step * beta) ** t * initial if covered else float("nan")


BOUNDS = {"kl_to_equilibrium": kl_bound}
