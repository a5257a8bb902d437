"""Nash-EMA by policy gradient (Nash-EMA-PG): softmax policy gradient against a slow copy of the policy.

    r = P(. > s) - beta log(pi / mu),      log pi+ = log pi + step pi (r - <pi, r>),   then normalised
    log s+ = decay log s + (1 - decay) log pi+,   then normalised

the expected update of the logits, with ``s`` the policy at an exponential moving average of the logits (averaging
parameters is not averaging policies). The regularised equilibrium is its only rest point in which every action is played,
but unlike the mixture of Nash-MD-PG a slow opponent lags behind the policy, and no guarantee is known (Munos et al. 2024,
arXiv 2312.00886, Section 7).
"""

from typing import NamedTuple

from prefsim.ops import advantage, softmax


class Hyper(NamedTuple):
    """Hyperparameters."""

    step: float = 1.0
    """Learning rate of the logits."""
    decay: float = 0.9
    """Weight of the past in the slow copy, in [0, 1); 0 is self-play."""


def opponent(hyper, iterate, phase):
    """The slow copy."""
    return iterate.slow


def target(hyper, iterate, gain, phase):
    """Ascend the expected reward, its KL penalty included."""
    reward = gain - iterate.beta * (iterate.current - iterate.reference)
    return iterate.current + hyper.step * softmax(iterate.current) * advantage(reward, iterate.current)


def slow(hyper, iterate, gain):
    """Move a little towards the new policy."""
    return hyper.decay * iterate.slow + (1 - hyper.decay) * iterate.half


def validate(hyper, beta):
    """A decay of 1 would never move."""
    return "" if 0 <= hyper.decay < 1 else f"decay must lie in [0, 1); got {hyper.decay:g}."
