"""Uniform play: every arm, or every ordered pair of arms, with equal probability.

The yardstick: its expected regret is ``T`` times the mean gap, and whatever learns must beat it. On duels both arms are
drawn independently, self-duels included. It compares nothing, so there are no ties to break.
"""

from typing import NamedTuple

from prefsim.ops import uniform

FEEDBACK = ("bandit", "duel", "full", "entries")
LOCKSTEP = True
BOUND_COVERS = ("subgaussian", "heavy", "duel_average", "copeland", "borda")


class Hyper(NamedTuple):
    """No hyperparameters."""


class State(NamedTuple):
    """Nothing to remember."""


def init(hyper, state, problem):
    """Nothing to prepare."""


def act(hyper, state, problem, t, noise):
    """Draw one arm."""
    return int(uniform(noise) * problem.arms)


def act_duel(hyper, state, problem, t, noise):
    """Draw two arms independently."""
    return int(uniform(noise) * problem.arms), int(uniform(noise) * problem.arms)


def ask(hyper, state, problem, t, action, noise, wanted):
    """Ask for nothing."""


def learn(hyper, state, problem, t, action, feedback):
    """Learn nothing."""


def regret_bound(hyper, truth, problem, t):
    """Expected regret, an equality: ``t`` times the mean gap."""
    return t * truth.gap.mean()
