"""Multi-scale random walk: losses that hide one better arm from whoever seldom changes arms.

    W_t = W_{t & (t - 1)} + sigma xi_t,  W_0 = 0,    l_t(a) = clip(W_t + 1/2 - epsilon 1{a = best}, 0, 1)

with ``xi_t`` standard normal and ``best`` uniform, drawn anew in every run. The parent ``t & (t - 1)`` of a round is ``t``
without its lowest bit. At most ``floor(log2 T) + 1`` steps lead to any round, so that the walk stays near 1/2; and as many
cross any moment, so that a change of arm tells little about ``epsilon``, and keeping one nothing. With the literal constants

    sigma = 1 / (9 log2 T),    epsilon = K^(1/3) T^(-1/3) / (9 log2 T)

every bandit algorithm pays at least ``K^(1/3) T^(2/3) / (50 log2 T)`` at ``cost = 1`` (Dekel, Ding, Koren and Peres 2014,
recalled). They are the default. In a simulation of any length they tell nothing, because *never* changing arms costs at most
``epsilon T``, less than any learner's changes (derived): to see rates, take the largest regret over a grid of ``epsilon``, as
``prefsim.worst_case`` does. Feedback, ``cost`` and regrets are those of ``switching_losses``. The walk is drawn while it is
played, at a memory of ``log2 T`` numbers.
"""

from collections.abc import Sequence
from math import log2
from typing import NamedTuple

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits._switching import open_books, rules, settle, whole_arms
from prefsim.game import as_floats
from prefsim.ops import Array, floats, integers, normal, uniform

FEEDBACK = ("bandit", "full", "entries")
REWARDS = "unit"
SETTING = "switching"
METRICS = ("regret", "loss_regret")


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    epsilon: Array
    """What the best arm is better by, NaN for the literal constant; shape (1,)."""
    sigma: Array
    """Standard deviation of a step, NaN for the literal constant; shape (1,)."""
    cost: Array
    """Price of a change of arm; shape (1,)."""


class State(NamedTuple):
    """The walk, the round's losses and the books."""

    walk: Array = floats(64)
    """``W`` at the last round whose lowest bit is that of this place."""
    chosen: Array = integers(1)
    """The better arm."""
    constants: Array = floats(2)
    """``epsilon`` and ``sigma`` in force."""
    rewards: Array = floats("arms")
    """1 less the loss, of every arm in this round."""
    budget: Array = floats(1)
    """Entries that may still be asked for."""
    free: Array = floats(1)
    """1 if the played arm's reward is shown unasked."""
    charged: Array = floats("arms")
    """Cumulative loss of every arm."""
    best: Array = floats(1)
    """The smallest of them."""
    last: Array = integers(1)
    """The arm of the round before, -1 at first."""


def multi_scale_random_walk(
    arms: int = 2,
    epsilon: float | Sequence[float] | None = None,
    sigma: float | None = None,
    cost: float = 1.0,
    feedback: str = "bandit",
    budget: float | None = None,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms.
    epsilon : float or sequence of float, optional
        What the best arm is better by, in [0, 1/2]; several make a batch of instances. By default the literal constant.
    sigma : float, optional
        Standard deviation of the walk's steps, at least 0. By default the literal constant.
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
    better = np.atleast_1d(as_floats(np.nan if epsilon is None else epsilon, "epsilon"))
    if better.ndim != 1 or not better.size or (epsilon is not None and not ((better >= 0) & (better <= 0.5)).all()):
        raise ValueError(f"epsilon must be one number in [0, 1/2] or a list of them; got {epsilon!r}.")
    if sigma is not None and not (isinstance(sigma, (int, float, np.number)) and 0 <= sigma < np.inf):
        raise ValueError(f"sigma must be a finite standard deviation, at least 0; got {sigma!r}.")
    ones = np.ones((len(better), 1))
    truth = Truth(better[:, None], (np.nan if sigma is None else sigma) * ones, cost * ones)
    return Bandit("multi_scale_random_walk", truth, arms, normalisation="switching", **known)


def literal(arms: int, horizon: int) -> tuple[float, float]:
    """The constants ``epsilon`` and ``sigma`` of the lower bound's proof; below 2 rounds ``log2 T`` counts as 1."""
    scale = 9.0 * log2(max(2, horizon))
    return min(0.5, (arms / max(1, horizon)) ** (1.0 / 3.0) / scale), 1.0 / scale


def parent(t: int) -> int:
    """The round from which round `t` steps off: `t` without its lowest bit."""
    return t & (t - 1)


def level(t: int) -> int:
    """Place of the lowest bit of `t` > 0."""
    place = 0
    while (t >> place) & 1 == 0:
        place += 1
    return place


def start(truth, world, problem, noise):
    """Open the books and choose the better arm."""
    open_books(world, problem)
    world.chosen[0] = int(uniform(noise) * problem.arms)
    epsilon, sigma = literal(problem.arms, problem.horizon)
    world.constants[0] = truth.epsilon[0] if truth.epsilon[0] == truth.epsilon[0] else epsilon
    world.constants[1] = truth.sigma[0] if truth.sigma[0] == truth.sigma[0] else sigma


def feedback(truth, world, action, t, noise):
    """One step of the walk, and the rewards; that of the played arm is the signal."""
    above = parent(t)
    value = world.walk[level(above)] if above > 0 else 0.0
    value += world.constants[1] * normal(noise)
    world.walk[level(t)] = value
    for a in range(len(world.rewards)):
        loss = 0.5 + value - (world.constants[0] if a == world.chosen[0] else 0.0)
        world.rewards[a] = 1.0 - min(1.0, max(0.0, loss))
    return world.rewards[action]


def regrets(truth, world, action, t, signal):
    """Regret of the round with and without the price of a change."""
    return settle(world, action, truth.cost[0])
