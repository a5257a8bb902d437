"""Slates: which items to show, and in which position, when clicks depend on both.

A slate puts different items into ``L`` positions. Position ``l`` is looked at with chance ``kappa_l``, and an item that is
seen is clicked with its attraction ``theta_i``, independently: a click on item ``i`` in position ``l`` has chance ``kappa_l
theta_i`` (the position-based model; Richardson, Dominowska, Ragno 2007). The reward is the number of clicks. Its mean is
linear, ``sum_i x_i theta_i``, in the features of a slate: ``x_i = kappa_l`` for the item in position ``l``, 0 for those left
out. So a slate is an arm, its features say what stands where, and every policy for linear rewards plays it. The best slate
puts the most attractive items where most people look (rearrangement inequality). Policies that learn from ``"clicks"`` are
told an array over items: whether each was clicked, NaN if it was not shown. ``regret`` is pseudo-regret, in clicks.
"""

from itertools import permutations
from math import perm
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit, as_means
from prefsim.game import as_floats
from prefsim.ops import Array, floats, uniform

FEEDBACK = ("bandit", "clicks")
REWARDS = "subgaussian"
SETTING = "linear"
SIDE = "features"
METRICS = ("regret",)
UNIT = "clicks"

MOST_SLATES = 10_000
"""Slates that may be listed."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    features: Array
    """Chance of being looked at of each item in each slate, shape (arms, items)."""
    attraction: Array
    """The attractions ``theta``, shape (items,)."""
    gap: Array
    """Pseudo-regret of each slate, shape (arms,)."""


class State(NamedTuple):
    """What the round brought."""

    report: Array = floats("attraction")
    """Clicks by item, NaN where it was not shown."""


def slate_clicks(
    attraction: ArrayLike = (0.5, 0.4, 0.3, 0.25, 0.2, 0.1),
    examination: ArrayLike = (1.0, 0.6, 0.3),
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    attraction : array_like, shape (items,) or (instances, items)
        Chances of a click once looked at, in [0, 1].
    examination : array_like, shape (positions,)
        Chances that a position is looked at, in (0, 1]; policies know them.

    Raises
    ------
    ValueError
        If a chance is out of range, there are more positions than items, or more than 10000 slates.
    """
    theta, kappa = as_means(attraction, "attraction"), as_floats(examination, "examination")
    items = theta.shape[1]
    if kappa.ndim != 1 or not kappa.size or not (0 < kappa.min() and kappa.max() <= 1):
        raise ValueError(f"examination must list chances above 0 and at most 1; got {examination!r}.")
    if len(kappa) > items or perm(items, len(kappa)) > MOST_SLATES:
        raise ValueError(
            f"{items} items in {len(kappa)} positions make {perm(items, len(kappa))} slates; there must be 1 to {MOST_SLATES}."
        )
    slates = np.array(list(permutations(range(items), len(kappa))))
    features = np.zeros((len(slates), items))
    np.put_along_axis(features, slates, np.broadcast_to(kappa, slates.shape), axis=1)
    mean = theta @ features.T
    truth = Truth(np.broadcast_to(features, (len(theta), *features.shape)), theta, mean.max(axis=1, keepdims=True) - mean)
    return Bandit(
        "slate_clicks",
        truth,
        len(slates),
        normalisation="pseudo",
        deviation=float(np.sqrt(len(kappa)) / 2),
        norm=float(np.sqrt(items)),
        length=float(np.linalg.norm(kappa)),
        dimension=items,
    )


def feedback(truth, world, action, t, noise):
    """Number of clicks."""
    clicks = 0.0
    for i in range(len(truth.attraction)):
        luck, chance = uniform(noise), truth.features[action, i] * truth.attraction[i]
        world.report[i] = np.nan
        if truth.features[action, i] > 0.0:
            world.report[i] = 1.0 if luck < chance else 0.0
            clicks += world.report[i]
    return clicks


def regrets(truth, world, action, t, signal):
    """Pseudo-regret of the round."""
    return (truth.gap[action],)
