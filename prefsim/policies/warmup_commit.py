"""Explore-then-commit with a warm-up, the baseline for losses that settle only after an arm has been played for a while.

    play every arm M times and forget it, then n = ceil((T / K)^(2/3) (ln T)^(1/3)) times; then the best mean for ever

``M`` (`memory`) bounds the environment's memory, so that the ``n`` samples are those of the full tally; ``n`` is cut so that
the exploration ends by the horizon. Ties for the best mean are broken uniformly at random. The exploration costs of the order
``T^(2/3) (K ln T)^(1/3) + M K``, whatever the gaps, and so does committing to the wrong arm (derived, as for
``explore_then_commit``). Source: baseline, as in Malik, Igoe, Li, Singh 2023 (recalled).
"""

from math import ceil, log
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats, integers

FEEDBACK = "bandit"
HINTS = "memory"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    memory: int = 0
    """The bound ``M``; 0 for the memory itself, which the environment tells."""


class State(NamedTuple):
    """What the next round needs."""

    total: Array = floats("arms")
    """Sum of an arm's rewards after its warm-up; as all have as many, it ranks them as means do."""
    warm: Array = integers(1)
    """Plays to forget, ``M``."""
    turn: Array = integers(1)
    """Plays of an arm in the exploration."""
    chosen: Array = integers(1)
    """The arm committed to."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"memory must be >= 0, 0 if told; got {hyper.memory}." if hyper.memory < 0 else ""


def init(hyper, state, problem):
    """Plan the exploration."""
    share = problem.horizon / problem.arms
    samples = ceil(share ** (2.0 / 3.0) * log(problem.horizon) ** (1.0 / 3.0))
    state.warm[0] = hyper.memory if hyper.memory > 0 else int(problem.hints[0])
    state.turn[0] = max(1, min(state.warm[0] + samples, int(share)))


def act(hyper, state, problem, t, noise):
    """Explore arm by arm, then commit."""
    length = state.turn[0] * problem.arms
    if t <= length:
        return (t - 1) // state.turn[0]
    if t == length + 1:
        state.chosen[0] = argmax_random(state.total, noise)
    return state.chosen[0]


def learn(hyper, state, problem, t, action, feedback):
    """Gather rewards while exploring."""
    if t <= state.turn[0] * problem.arms and (t - 1) % state.turn[0] >= state.warm[0]:
        state.total[action] += feedback
