"""Proximal point by mirror descent towards a magnet, which follows every `period` steps: COMAL, and MPO in other units.

    log pi+ = (1 - step alpha) log pi + step alpha log magnet + step * P(. > pi),   then normalised
    magnet+ = pi+  every `period` iterations,  else  magnet

It aims at the equilibrium of the game *without* regularisation; the game's ``beta`` and reference play no part beyond the
start. Between moves of the magnet this is ``omd`` at temperature ``alpha``: for ``step <= 4 alpha / (1 + 4 alpha^2)`` and
``|P - 1/2| <= 1/2`` the KL to the inner equilibrium shrinks by at least ``1 - step alpha`` an iteration. Where `period`
is long enough to solve for it, ``KL(u, magnet)`` never increases, for every equilibrium ``u`` of the original game at
once; the gap need not be monotone. An inner loop cut short stalls. Sources: COMAL, Liu et al. 2024 (arXiv 2410.23223);
alias ``mpo``, magnetic preference optimisation, Wang et al. 2025 (arXiv 2410.16714), whose step ``eta`` is ours through
``step = eta / (1 + eta alpha)``; inner rate: Sokota et al. 2023 (arXiv 2206.05825), constants derived.
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 1.0
    """Learning rate of the inner steps; ``step * alpha`` is the weight on the magnet and at most 1."""
    alpha: float = 0.5
    """Temperature of the pull towards the magnet. Smaller moves the magnet further and needs longer periods."""
    period: int = 40
    """Inner iterations per move of the magnet."""


class Mpo(NamedTuple):
    """Magnetic preference optimisation (MPO), which is ``comal`` with the implicit step of magnetic mirror descent."""

    step: float = 1.0
    """``eta`` of the implicit step; any size is allowed, and the inner theorem needs ``eta <= 4 alpha``."""
    alpha: float = 0.25
    """Temperature of the pull towards the magnet."""
    period: int = 100
    """Inner iterations per refresh of the magnet."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def target(hyper, iterate, gain, phase):
    """Pull towards the magnet, then exponential weights."""
    pull = hyper.step * hyper.alpha
    return (1 - pull) * iterate.current + pull * iterate.magnet + hyper.step * gain


def magnet(hyper, iterate, gain):
    """The new policy at the end of a period, else what it was."""
    moves = 1.0 * ((iterate.t + 1) % hyper.period == 0)
    return moves * iterate.half + (1 - moves) * iterate.magnet


def validate(hyper, beta):
    """The magnet must pull, by a weight of at most 1, and a period lasts at least one iteration."""
    if hyper.alpha <= 0:
        return f"alpha must be positive; got {hyper.alpha:g}. Without a pull towards the magnet this is mwu."
    if hyper.period < 1:
        return f"period must be at least 1 iteration; got {hyper.period}."
    if hyper.step * hyper.alpha > 1:
        return f"step * alpha must be at most 1; choose step <= {1 / hyper.alpha:g}."
    return ""


def temperatures(hyper, beta):
    """The magnet pulls at ``alpha``; where the magnet comes to rest is an equilibrium without regularisation."""
    return hyper.alpha, 0.0


def theory_step(beta, spread, horizon):
    """Largest step of the inner loop's contraction theorem; `beta` is the temperature of the pull, ``alpha``."""
    return 4 * beta / (1 + 4 * beta**2)


def amplification(hyper, omega, beta):
    """``|z|^2`` of the inner loop, the magnet at rest: that of ``omd`` at temperature ``alpha``.

    A period multiplies the magnet's error by ``q + z^period (1 - q)``, ``q = 1 / (1 - i omega / alpha)`` (the inner
    equilibrium follows the magnet by ``q``, what the loop leaves undone by ``z^period``): ``|q| < 1`` once it is long.
    """
    return (1 - hyper.step * hyper.alpha) ** 2 + (hyper.step * omega) ** 2


ALIASES = {"mpo": (Mpo, lambda p, beta: Hyper(p.step / (1 + p.step * p.alpha), p.alpha, p.period))}
