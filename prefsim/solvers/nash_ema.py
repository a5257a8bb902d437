"""Nash-EMA: mirror descent against a slowly moving average of the policy's parameters.

    log pi+   = (1 - step beta) log pi + step beta log mu + step * P(. > slow),   then normalised
    log slow+ = decay log slow + (1 - decay) log pi+,                             then normalised

The average is geometric because parameters are logits; averaging parameters is not averaging policies. It is a stand-in
for Nash-MD's mixture without a theorem of its own. Its fixed point is the regularised equilibrium for every step and
decay; ``decay = 0`` is ``omd``, and in additive games, where the opponent does not matter, every log-ratio error is
multiplied by exactly ``1 - step beta`` (Munos et al. 2024, arXiv 2312.00886).
"""

from typing import NamedTuple


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 0.1
    """Learning rate; ``step * beta`` is the weight on the reference and at most 1."""
    decay: float = 0.9
    """Weight the average keeps of itself an iteration, in [0, 1)."""


def opponent(hyper, iterate, phase):
    """The slow average."""
    return iterate.slow


def target(hyper, iterate, gain, phase):
    """Pull towards the reference, then exponential weights."""
    pull = hyper.step * iterate.beta
    return (1 - pull) * iterate.current + pull * iterate.reference + hyper.step * gain


def slow(hyper, iterate, gain):
    """Exponential moving average of log-policies, the new one included."""
    return hyper.decay * iterate.slow + (1 - hyper.decay) * iterate.half


def validate(hyper, beta):
    """The reference's weight must not exceed 1, and the average must move."""
    if not 0 <= hyper.decay < 1:
        return f"decay must lie in [0, 1); got {hyper.decay:g}."
    return f"step * beta must be at most 1; choose step <= {1 / beta:g}." if hyper.step * beta > 1 else ""


def amplification(hyper, omega, beta):
    """Largest ``|z|^2`` of the roots of ``z^2 - (1 - c + d + i x (1 - d)) z + (1 - c) d = 0`` at ``x = 0`` and ``step omega``.

    ``c = step beta``, ``d`` the decay: ``e+ = (1 - c) e + i x f`` with the slow copy's error ``f+ = d f + (1 - d) e+``.
    """
    rest, largest = 1 - hyper.step * beta, 0.0
    for frequency in (0.0, omega):
        middle = complex(rest + hyper.decay, hyper.step * frequency * (1 - hyper.decay))
        root = (middle**2 - 4 * rest * hyper.decay) ** 0.5
        largest = max(largest, abs(middle + root) ** 2 / 4, abs(middle - root) ** 2 / 4)
    return largest
