"""Adversarial bandit: the losses of all rounds and arms are written down before the game begins.

Round ``t`` charges the loss ``losses[(t - 1) mod rounds, a]`` in [0, 1] to arm ``a``; a table with as many rows as rounds is
played as it stands, a shorter one over and over. The policy sees the reward, 1 minus its own loss. With ``coins = True`` the
table holds chances instead, and every arm of every round tosses a coin of its own, played or not. ``regret`` is realised,

    own cumulative loss - min_a cumulative loss of a,    both as charged, the arm chosen in hindsight,

and ``pseudo_regret`` the same of the table's entries, which differs with coins only. The sequence is oblivious: it does not
depend on what is played (Bubeck and Cesa-Bianchi 2012, Section 3).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import Array, floats, uniform

FEEDBACK = "bandit"
REWARDS = "unit"
SETTING = "adversarial"
METRICS = ("regret", "pseudo_regret")

EXAMPLE = ((1.0, 0.0, 0.4), (0.0, 1.0, 0.4))


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    losses: Array
    """Losses, or chances of a loss of 1; shape (rounds, arms)."""
    coins: Array
    """1 if losses are tossed, else 0; shape (1,)."""


class State(NamedTuple):
    """Losses so far."""

    loss: Array = floats("arms")
    """What every arm costs in this round."""
    charged: Array = floats("arms")
    """Cumulative loss of every arm."""
    expected: Array = floats("arms")
    """Cumulative entries of the table."""
    best: Array = floats(2)
    """The smallest entries of those two."""


def adversarial(losses: ArrayLike = EXAMPLE, coins: bool = False) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    losses : array_like, shape (rounds, arms) or (instances, rounds, arms)
        The table, entries in [0, 1].
    coins : bool
        Whether an entry is the chance of a loss of 1 instead of the loss.

    Raises
    ------
    ValueError
        If `losses` is empty, not finite, outside [0, 1], or of another shape.
    """
    table = as_losses(losses)
    truth = Truth(table, np.full((len(table), 1), float(coins)))
    return Bandit("adversarial", truth, table.shape[-1], normalisation="realised")


def as_losses(losses: ArrayLike) -> NDArray[np.float64]:
    """Check a table of losses in [0, 1] and return it as (instances, rounds, arms)."""
    table = as_floats(losses, "losses")
    if table.ndim not in (2, 3) or not table.size:
        raise ValueError(f"losses must have shape (rounds, arms) or (instances, rounds, arms); got {table.shape}.")
    if not np.isfinite(table).all() or table.min() < 0 or table.max() > 1:
        raise ValueError(f"losses must lie in [0, 1]; they reach from {table.min():g} to {table.max():g}.")
    return table.reshape(-1, *table.shape[-2:])


def feedback(truth, world, action, t, noise):
    """Reward of the played arm."""
    row = (t - 1) % len(truth.losses)
    for a in range(len(world.loss)):
        world.loss[a] = truth.losses[row, a]
        if truth.coins[0] > 0.0:
            world.loss[a] = 1.0 if uniform(noise) < truth.losses[row, a] else 0.0
    return 1.0 - world.loss[action]


def regrets(truth, world, action, t, signal):
    """Own loss, less what the comparators' smallest cumulative loss grew by; the sum is the regret to the best of then."""
    row = (t - 1) % len(truth.losses)
    charged = np.inf
    expected = np.inf
    for a in range(len(world.loss)):
        world.charged[a] += world.loss[a]
        world.expected[a] += truth.losses[row, a]
        charged = min(charged, world.charged[a])
        expected = min(expected, world.expected[a])
    realised = world.loss[action] - (charged - world.best[0])
    pseudo = truth.losses[row, action] - (expected - world.best[1])
    world.best[0] = charged
    world.best[1] = expected
    return realised, pseudo
