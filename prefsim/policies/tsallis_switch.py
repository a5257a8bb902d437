"""Tsallis-Switch: Tsallis-INF on blocks that grow, so that changes of arm cost no more than they teach.

    block n lasts max(ceil(a_n), 1) rounds,    a_n = (3 cost / 2) sqrt(n / K),    eta_n = (2 / (a_n + 1)) sqrt(2 / n)
    one arm a block, drawn from w(k) = 4 / (eta_n (L(k) - x))^2 with sum 1;    L(arm) += (loss of the block) / w(arm)

The price ``cost`` is the problem's; neither the horizon nor the kind of losses is needed. Regret and priced changes are
together ``O((cost K)^(1/3) T^(2/3) + sqrt(K T))`` against oblivious losses and ``O(((cost K)^(2/3) T^(1/3) + ln T) sum_i 1 /
D_i)`` where gaps ``D`` to one best arm are fixed (Rouyer, Seldin and Cesa-Bianchi 2021; block lengths and rates recalled). A
block that the horizon cuts off is played and teaches nothing. The weights are solved for as in ``tsallis_inf``.
"""

from math import ceil, sqrt
from typing import NamedTuple

from prefsim.ops import Array, draw, floats, integers
from prefsim.policies.tsallis_inf import weigh

FEEDBACK = "bandit"
REWARDS = "unit"


class Hyper(NamedTuple):
    """None."""


class State(NamedTuple):
    """Estimated losses, the weights that follow from them, and the block being played."""

    loss: Array = floats("arms")
    weight: Array = floats("arms")
    root: Array = floats(1)
    """The last root of the weights' equation."""
    block: Array = integers(1)
    left: Array = integers(1)
    """Rounds of the block still to play."""
    arm: Array = integers(1)
    seen: Array = floats(1)
    """Loss of the block so far."""


def init(hyper, state, problem):
    """No data."""
    state.root[0] = 2.0


def act(hyper, state, problem, t, noise):
    """Draw an arm when a block begins."""
    if state.left[0] == 0:
        state.block[0] += 1
        n = state.block[0]
        length = 1.5 * problem.cost * sqrt(n / problem.arms)
        state.left[0] = max(1, ceil(length))
        weigh(state, 2.0 / (length + 1.0) * sqrt(2.0 / n))
        state.arm[0] = draw(state.weight, 1.0, noise)
        state.seen[0] = 0.0
    return state.arm[0]


def learn(hyper, state, problem, t, action, feedback):
    """Charge the arm the block's loss over its weight."""
    state.seen[0] += 1.0 - feedback
    state.left[0] -= 1
    if state.left[0] == 0:
        state.loss[action] += state.seen[0] / state.weight[action]
