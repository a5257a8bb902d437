"""Nash-MD by policy gradient (Nash-MD-PG): softmax policy gradient against a mixture of the policy and the reference.

    m  ∝  pi^(1 - mixture) mu^mixture,      r = P(. > m) - beta log(pi / mu)
    log pi+ = log pi + step pi (r - <pi, r>),   then normalised

the expected update of the logits: the gradient of ``<pi, r>`` with ``r`` held fixed. ``mixture = 0`` is self-play,
``mixture = 1`` ends in the best response to the reference. Its rest point is known: ``m`` is the regularised equilibrium at
the higher temperature ``beta / (1 - mixture)`` and ``pi = BR(m)``, in general not the equilibrium at ``beta``. Actions
hardly played hardly move: unlike mirror descent the gradient carries a factor ``pi``. (Munos et al. 2024, arXiv 2312.00886;
the rest point is derived.)
"""

from math import inf
from typing import NamedTuple

from prefsim.ops import advantage, log_normalize, softmax


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 1.0
    """Learning rate of the logits."""
    mixture: float = 0.125
    """Weight of the reference in the opponent's logits, in [0, 1]."""


def opponent(hyper, iterate, phase):
    """The geometric mixture."""
    return log_normalize((1 - hyper.mixture) * iterate.current + hyper.mixture * iterate.reference)


def target(hyper, iterate, gain, phase):
    """Ascend the expected reward, its KL penalty included."""
    reward = gain - iterate.beta * (iterate.current - iterate.reference)
    return iterate.current + hyper.step * softmax(iterate.current) * advantage(reward, iterate.current)


def temperatures(hyper, beta):
    """The mixture comes to rest at the equilibrium for ``beta / (1 - mixture)``."""
    return beta, beta / (1 - hyper.mixture) if hyper.mixture < 1 else inf


def validate(hyper, beta):
    """The opponent is a mixture."""
    return "" if 0 <= hyper.mixture <= 1 else f"mixture must lie in [0, 1]; got {hyper.mixture:g}."
