"""Exponential weights of estimated losses, of which a round of EXP3 changes one and full information all.

    p(i) = exp(-step L(i)) / sum_j exp(-step L(j))

A round of EXP3 costs one exponential and O(arms) additions; the exponents are shifted before the weights underflow.
"""

from math import exp
from typing import NamedTuple

from prefsim.ops import Array, draw, floats


class State(NamedTuple):
    """Estimated losses and the weights that follow from them."""

    loss: Array = floats("arms")
    weight: Array = floats("arms")
    """``exp(-step (loss - floor))``; only the drawn arm's changes in a round."""
    total: Array = floats(1)
    """Sum of the weights."""
    floor: Array = floats(1)
    """Loss subtracted in the exponent, raised before the weights underflow."""
    chance: Array = floats(1)
    """Probability with which the current arm was drawn."""
    step: Array = floats(1)
    """Learning rate in force."""


def begin(state, arms, step):
    """Equal weights."""
    for i in range(arms):
        state.weight[i] = 1.0
    state.total[0] = arms
    state.step[0] = step


def play(state, noise):
    """Draw an arm in proportion to its weight."""
    arm = draw(state.weight, state.total[0], noise)
    state.chance[0] = state.weight[arm] / state.total[0]
    return arm


def charge(state, arm, estimate):
    """Add an estimated loss to that of one arm."""
    state.loss[arm] += estimate
    state.weight[arm] = exp(-state.step[0] * (state.loss[arm] - state.floor[0]))
    total = 0.0  # summed one by one: every engine must round alike
    for i in range(len(state.weight)):
        total += state.weight[i]
    state.total[0] = total
    if total < 1e-100:
        weigh(state)


def weigh(state):
    """Weights of all arms by their losses; the smallest comes off first."""
    floor = state.loss[0]
    for i in range(1, len(state.loss)):
        floor = min(floor, state.loss[i])
    state.floor[0] = floor
    total = 0.0
    for i in range(len(state.weight)):
        state.weight[i] = exp(-state.step[0] * (state.loss[i] - floor))
        total += state.weight[i]
    state.total[0] = total
