"""Online mirror descent (OMD) on the KL-regularised game; ``online_ipo`` and ``mmd`` are the same update.

    log pi+ = (1 - step beta) log pi + step beta log mu + step * P(. > pi),   then normalised

For ``step <= 4 beta / (1 + 4 beta^2)`` and ``|P - 1/2| <= 1/2``, ``KL(pi*, .)`` shrinks by at least ``1 - step beta`` a
step. Locally it is stable exactly for ``step < 2 beta / (omega^2 + beta^2)``, ``omega`` the largest rotation frequency of
the game at ``pi*``; beyond that self-play cycles (Munos et al. 2024, arXiv 2312.00886; constants derived in the
documentation). Aliases: ``online_ipo`` (Calandriello et al. 2024, arXiv 2403.08635) and magnetic mirror descent ``mmd``
(Sokota et al. 2023, arXiv 2206.05825), whose KL pull is implicit: its step ``eta`` is ours through
``step = eta / (1 + eta beta)``, and ``eta <= 4 beta`` gives the factor ``1 / (1 + eta beta)``. See also ``inpo``.
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate; ``step * beta`` is the weight on the reference and at most 1."""


class OnlineIpo(NamedTuple):
    """Online IPO, whose exact step is ``omd``: a gradient step of size ``lr`` on its loss has ``step = 4 lr / (n beta)``."""

    step: float = 0.1
    """Learning rate of the mirror step; ``step * beta`` is at most 1."""


class Mmd(NamedTuple):
    """Magnetic mirror descent (MMD) towards the reference, which is ``omd`` in another parametrisation."""

    step: float = 0.1
    """``eta`` of the implicit step; any size is allowed, and the theorem needs ``eta <= 4 beta``."""


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


def theory_step(beta, spread, horizon):
    """Largest step of the contraction theorem."""
    return 4 * beta / (1 + 4 * beta**2)


def amplification(hyper, omega, beta):
    """Squared error factor of the fastest mode, ``z = 1 - step beta + i step omega``."""
    return (1 - hyper.step * beta) ** 2 + (hyper.step * omega) ** 2


BOUNDS = {"kl_to_equilibrium": kl_bound}


def from_mmd(parameters, beta):
    """Translate MMD's step, which is not limited by `beta`."""
    return Hyper(step=parameters.step / (1 + parameters.step * beta))


ALIASES = {"online_ipo": (OnlineIpo, lambda parameters, beta: Hyper(parameters.step)), "mmd": (Mmd, from_mmd)}
