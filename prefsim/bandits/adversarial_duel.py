"""Adversarial dueling bandit: the preference matrices of all rounds are written down before the game begins.

In round ``t`` arm ``i`` beats ``j`` with probability ``P_t[i, j]``, ``P_t = preference[(t - 1) mod rounds]``. Against a fixed
arm ``k`` a round in which ``i`` and ``j`` duel costs

    (P_t[k, i] - 1/2 + P_t[k, j] - 1/2) / 2.

``regret`` is the sum of that for the arm `comparator`, by default the one with the best record against all others in the
sequence; bounds on the expected regret hold for every fixed arm, and so for any of them. ``realised_regret`` is against the arm
that did best in hindsight. The two differ more than in bandits: what ``k`` would have won depends on whom the policy played, so
that the best arm in hindsight is a function of its luck, ``E max_k >= max_k E``, and only the latter is bounded (Saha and
Gaillard 2022 define regret so; recalled).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_preference
from prefsim.ops import Array, floats, uniform

FEEDBACK = "duel"
METRICS = ("regret", "realised_regret")

EXAMPLE = (
    ((0.5, 0.9, 0.6), (0.1, 0.5, 0.2), (0.4, 0.8, 0.5)),
    ((0.5, 0.2, 0.6), (0.8, 0.5, 0.9), (0.4, 0.1, 0.5)),
)


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    preference: Array
    """``P_t[i, j]``, shape (rounds, arms, arms)."""
    comparator: Array
    """The fixed arm of ``regret``, shape (1,)."""


class State(NamedTuple):
    """Regrets so far."""

    against: Array = floats("arms")
    """Regret against each fixed arm."""
    most: Array = floats(1)
    """The largest of them."""


def adversarial_duel(preference: ArrayLike = EXAMPLE, comparator: int | Sequence[int] | None = None) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    preference : array_like, shape (rounds, arms, arms)
        The sequence of preference matrices, played over and over.
    comparator : int or sequence of int, optional
        The fixed arm regret is measured against; several make a batch of instances, one for each. By default the arm with the
        largest ``sum_t sum_j P_t[k, j]``.

    Raises
    ------
    ValueError
        If an entry is no preference matrix, the shape differs, or a comparator is no arm.
    """
    matrices = as_preference(preference)
    if matrices.ndim != 3:
        raise ValueError(f"preference must have shape (rounds, arms, arms); got {matrices.shape}.")
    arms = matrices.shape[-1]
    chosen = np.atleast_1d(int(matrices.sum(axis=(0, 2)).argmax()) if comparator is None else comparator)
    if chosen.ndim != 1 or not chosen.size or not np.isin(chosen, np.arange(arms)).all():
        raise ValueError(f"comparator must name arms 0 .. {arms - 1}; got {comparator!r}.")
    sequence = np.broadcast_to(matrices, (len(chosen), *matrices.shape))
    return Bandit("adversarial_duel", Truth(sequence, chosen[:, None]), arms, normalisation="adversarial_duel")


def feedback(truth, world, action, t, noise):
    """1 if the first arm of the pair wins, else 0."""
    row = (t - 1) % len(truth.preference)
    return 1.0 if uniform(noise) < truth.preference[row, action[0], action[1]] else 0.0


def regrets(truth, world, action, t, signal):
    """Against the fixed comparator; and what the largest regret against an arm grew by."""
    row = (t - 1) % len(truth.preference)
    cost = 0.0
    most = -np.inf
    for k in range(len(world.against)):
        lost = 0.5 * (truth.preference[row, k, action[0]] + truth.preference[row, k, action[1]] - 1.0)
        world.against[k] += lost
        most = max(most, world.against[k])
        if k == truth.comparator[0]:
            cost = lost
    growth = most - world.most[0]
    world.most[0] = most
    return cost, growth
