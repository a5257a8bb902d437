"""Losses written down before the game, where every change of arm costs and observations may be rationed.

Round ``t`` charges ``losses[(t - 1) mod rounds, a]`` in [0, 1] to arm ``a``, as in ``adversarial``, and ``cost`` more if the
arm is not that of the round before; the first round is no change. With ``coins = True`` the table holds chances of a loss of 1.
``regret`` is

    sum_t l_t(a_t) + cost * #{t >= 2 : a_t != a_{t-1}} - min_a sum_t l_t(a),

the arm chosen in hindsight, and ``loss_regret`` the same without the changes. A policy sees, by ``feedback``, the played arm's
loss (``"bandit"``), all (``"full"``), the entries ``(t, a)`` of the current round that it asks for, ``budget`` in all, and
nothing else (``"entries"``), or those besides the played arm's (``"extra"``). In the letters of Cheng, Zhou and Ji 2023 the
budget is their ``B`` under ``"entries"`` and their ``B_ex`` under ``"extra"``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.bandits._switching import Books as State  # noqa: F401
from prefsim.bandits._switching import open_books, rules, settle
from prefsim.bandits.adversarial import EXAMPLE, as_losses
from prefsim.ops import Array, uniform

FEEDBACK = ("bandit", "full", "entries")
REWARDS = "unit"
SETTING = "switching"
METRICS = ("regret", "loss_regret")


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    losses: Array
    """Losses, or chances of a loss of 1; shape (rounds, arms)."""
    coins: Array
    """1 if losses are tossed, else 0; shape (1,)."""
    cost: Array
    """Price of a change of arm; shape (1,)."""


def switching_losses(
    losses: ArrayLike = EXAMPLE,
    cost: float = 1.0,
    feedback: str = "bandit",
    budget: float | None = None,
    coins: bool = False,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    losses : array_like, shape (rounds, arms) or (instances, rounds, arms)
        The table, entries in [0, 1], played over and over.
    cost : float
        Price of a change of arm, at least 0.
    feedback : {"bandit", "full", "entries", "extra"}
        What a policy sees.
    budget : float, optional
        Entries it may ask for in all, at least 1; no limit if None.
    coins : bool
        Whether an entry is the chance of a loss of 1 instead of the loss.

    Raises
    ------
    ValueError
        If the table is empty, not finite, outside [0, 1] or of another shape; if `cost`, `feedback` or `budget` is out of
        range.
    """
    table = as_losses(losses)
    known, ones = rules(cost, feedback, budget), np.ones((len(table), 1))
    truth = Truth(table, float(coins) * ones, cost * ones)
    return Bandit("switching_losses", truth, table.shape[-1], normalisation="switching", **known)


def start(truth, world, problem, noise):
    """Open the books."""
    open_books(world, problem)


def feedback(truth, world, action, t, noise):
    """The round's rewards; that of the played arm is the signal."""
    row = (t - 1) % len(truth.losses)
    for a in range(len(world.rewards)):
        world.rewards[a] = 1.0 - truth.losses[row, a]
        if truth.coins[0] > 0.0:
            world.rewards[a] = 0.0 if uniform(noise) < truth.losses[row, a] else 1.0
    return world.rewards[action]


def regrets(truth, world, action, t, signal):
    """Regret of the round with and without the price of a change."""
    return settle(world, action, truth.cost[0])
