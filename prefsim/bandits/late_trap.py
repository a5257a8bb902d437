"""Late trap: an adversary that remembers, and charges a loss of 1 to the arm played in the round before and 0 to all others.

Staying costs 1 a round and leaving costs ``cost``, so that nobody does better than ``min(1, cost)`` a round, while some fixed
arm was charged at most ``T / K`` times: with ``cost >= 1`` regret is at least ``T (1 - 1 / K) - 1`` (derived). It is *not*
oblivious, and the theorems about switching costs do not cover it. Feedback, ``cost`` and regrets are those of
``switching_losses``; ``trap`` sees the arm of the round itself.
"""

from typing import NamedTuple

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits._switching import Books as State  # noqa: F401
from prefsim.bandits._switching import open_books, rules, settle, whole_arms
from prefsim.ops import Array

FEEDBACK = ("bandit", "full", "entries")
REWARDS = "unit"
SETTING = "adaptive"
METRICS = ("regret", "loss_regret")


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    cost: Array
    """Price of a change of arm; shape (1,)."""


def late_trap(arms: int = 4, cost: float = 1.0, feedback: str = "bandit", budget: float | None = None) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms.
    cost : float
        Price of a change of arm, at least 0.
    feedback : {"bandit", "full", "entries", "extra"}
        What a policy sees.
    budget : float, optional
        Entries it may ask for in all, at least 1; no limit if None.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    arms, known = whole_arms(arms), rules(cost, feedback, budget)
    return Bandit("late_trap", Truth(cost * np.ones((1, 1))), arms, normalisation="switching", **known)


def start(truth, world, problem, noise):
    """Open the books."""
    open_books(world, problem)


def feedback(truth, world, action, t, noise):
    """Everything pays 1 but the arm of the round before."""
    for a in range(len(world.rewards)):
        world.rewards[a] = 0.0 if a == world.last[0] else 1.0
    return world.rewards[action]


def regrets(truth, world, action, t, signal):
    """Regret of the round with and without the price of a change."""
    return settle(world, action, truth.cost[0])
