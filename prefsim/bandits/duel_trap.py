"""Trap for duels: an adversary that watches, and lets the two arms that are played lose to all others.

Whoever duels in a round would have lost to every arm left out, surely, and is an even match for the other one. That is *not*
oblivious, so the theorems about preferences fixed in advance do not cover it. A round adds at least ``(K - 2) / 2`` to the sum
of the regrets over the fixed arms, so against the best arm in hindsight the regret after ``T`` rounds is at least ``T (K - 2)
/ (2 K)`` for every policy (derived).
"""

from typing import NamedTuple

import numpy as np

from prefsim.bandit import Bandit
from prefsim.ops import Array, floats, uniform

FEEDBACK = "duel"
METRICS = ("regret",)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    margin: Array
    """Probability above 1/2 with which the arms left out would win, shape (1,)."""


class State(NamedTuple):
    """Regrets so far."""

    against: Array = floats("arms")
    """Regret against each fixed arm."""
    most: Array = floats(1)
    """The largest of them."""


def duel_trap(arms: int = 10) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms.

    Raises
    ------
    ValueError
        If `arms` is below 3, where nothing is left out.
    """
    if arms < 3:
        raise ValueError(f"arms must be at least 3, or no arm is left out of a duel; got {arms}.")
    return Bandit("duel_trap", Truth(np.full((1, 1), 0.5)), int(arms), normalisation="adaptive")


def feedback(truth, world, action, t, noise):
    """An even match."""
    return 1.0 if uniform(noise) < 0.5 else 0.0


def regrets(truth, world, action, t, signal):
    """What the largest regret against a fixed arm grew by."""
    most = -np.inf
    for k in range(len(world.against)):
        if k != action[0] and k != action[1]:
            world.against[k] += truth.margin[0]
        most = max(most, world.against[k])
    growth = most - world.most[0]
    world.most[0] = most
    return (growth,)
