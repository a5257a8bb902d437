"""Accelerated preference optimisation (APO): momentum around the self-play step.

    log hat+ = (1 - step beta) log pi + step beta log mu + step * P(. > pi)
    log pi+  = log hat+ + momentum (log hat+ - log hat),     both normalised,   hat_0 = pi_0

The base step is the published one (SPPO's, i.e. ``mwu``) in games with ``beta = 0`` and ``omd`` above, so that its fixed
point is the regularised equilibrium. Where win rates do not depend on the opponent, ``P(. > q) = r + const``, and
``beta = 0``, writing ``m`` for the momentum,

    log pi_t = log pi_0 + r step / (1 - m) * (t - m^2 (1 - m^t) / (1 - m)) + const,

so log-ratios move ``1 / (1 - m)`` times as fast in the long run (derived). In intransitive games momentum does not cure
cycling. Source: He, Yuan and Gu 2024 (arXiv 2410.06293).
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate of the base step (``1 / beta`` of DPO); ``step * beta`` is at most 1."""
    momentum: float = 0.5
    """``alpha`` of the paper, in [0, 1); 0 is the base step."""


def opponent(hyper, iterate, phase):
    """Self-play."""
    return iterate.current


def base(hyper, iterate, gain):
    """The step momentum is added to."""
    pull = hyper.step * iterate.beta
    return (1 - pull) * iterate.current + pull * iterate.reference + hyper.step * gain


def target(hyper, iterate, gain, phase):
    """The base step and a fraction of its last change; ``auxiliary`` is the last base step."""
    return (1 + hyper.momentum) * base(hyper, iterate, gain) - hyper.momentum * iterate.auxiliary


def auxiliary(hyper, iterate, gain):
    """Remember the base step."""
    return base(hyper, iterate, gain)


def validate(hyper, beta):
    """The reference's weight must not exceed 1, and momentum must die out."""
    if not 0 <= hyper.momentum < 1:
        return f"momentum must lie in [0, 1); got {hyper.momentum:g}."
    return f"step * beta must be at most 1; choose step <= {1 / beta:g}." if hyper.step * beta > 1 else ""


def amplification(hyper, omega, beta):
    """Largest ``|z|^2`` of the roots of ``z^2 - (1 + m) b z + m b = 0``, ``b = 1 - step beta + i step omega'``, 0 and `omega`.

    The base step multiplies the policy's error by ``b``, ``hat+ = b e``, and momentum gives ``e = (1 + m) hat - m hat-``.
    Without regularisation the root near 1 is beyond the unit circle for every momentum.
    """
    largest = 0.0
    for frequency in (0.0, omega):
        b = complex(1 - hyper.step * beta, hyper.step * frequency)
        middle = (1 + hyper.momentum) * b
        root = (middle**2 - 4 * hyper.momentum * b) ** 0.5
        largest = max(largest, abs(middle + root) ** 2 / 4, abs(middle - root) ** 2 / 4)
    return largest
