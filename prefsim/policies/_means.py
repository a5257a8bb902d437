"""What index rules on one arm's own rewards share: how often an arm was pulled, its mean, and how sure that mean is.

    mean(i) = total(i) / pulls(i),    root(i) = 1 / sqrt(pulls(i)),    index(i) = mean(i) + width * root(i)

An arm that has not been pulled has an infinite mean, so that every arm comes first once, in random order.
"""

from math import inf, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats


class State(NamedTuple):
    """What the next round needs; all of shape (arms,)."""

    pulls: Array = floats("arms")
    total: Array = floats("arms")
    """Sum of rewards."""
    mean: Array = floats("arms")
    """``total / pulls``; infinite before the first pull, so that new arms come first."""
    root: Array = floats("arms")
    """``1 / sqrt(pulls)``, kept so that a round costs no division; 0 before the first pull."""
    index: Array = floats("arms")
    """What the rule compares."""


def init(hyper, state, problem):
    """Make every arm irresistible until it is pulled."""
    for i in range(problem.arms):
        state.mean[i] = inf
        state.index[i] = inf


def widest(state, width, noise):
    """The arm with the largest ``mean + width * root``; ties at random."""
    for i in range(len(state.index)):
        state.index[i] = state.mean[i] + width * state.root[i]
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the played arm."""
    state.pulls[action] += 1.0
    state.total[action] += feedback
    state.mean[action] = state.total[action] / state.pulls[action]
    state.root[action] = 1.0 / sqrt(state.pulls[action])
