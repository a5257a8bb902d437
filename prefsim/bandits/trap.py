"""Trap: an adversary that watches, and charges a loss of 1 to the arm that is played and 0 to all others.

It is *not* oblivious, so the theorems about oblivious losses do not cover it, and no policy escapes: the own loss after ``T``
rounds is ``T``, some arm was played at most ``T / K`` times, and the realised regret is at least ``T (1 - 1 / K)`` (derived).
It shows what the word *oblivious* is worth.
"""

from typing import NamedTuple

import numpy as np

from prefsim.bandit import Bandit
from prefsim.ops import Array, floats

FEEDBACK = "bandit"
REWARDS = "unit"
SETTING = "adaptive"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    charge: Array
    """Loss of the played arm, shape (1,)."""


class State(NamedTuple):
    """Losses so far."""

    charged: Array = floats("arms")
    """Cumulative loss of every arm."""
    best: Array = floats(1)
    """The smallest of them."""


def trap(arms: int = 10) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms.

    Raises
    ------
    ValueError
        If `arms` is below 1.
    """
    if arms < 1:
        raise ValueError(f"arms must be at least 1; got {arms}.")
    return Bandit("trap", Truth(np.ones((1, 1))), int(arms), normalisation="realised")


def feedback(truth, world, action, t, noise):
    """Whatever is played pays nothing."""
    return 1.0 - truth.charge[0]


def regrets(truth, world, action, t, signal):
    """Own loss, less what the smallest cumulative loss of an arm grew by."""
    world.charged[action] += truth.charge[0]
    best = np.inf
    for a in range(len(world.charged)):
        best = min(best, world.charged[a])
    cost = truth.charge[0] - (best - world.best[0])
    world.best[0] = best
    return (cost,)
