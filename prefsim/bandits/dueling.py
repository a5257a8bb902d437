"""Dueling bandit: the learner names two arms and sees which one wins.

Arm ``i`` beats ``j`` with probability ``P[i, j]``; ``P + P^T = 1``. With a Condorcet winner ``w`` (``P[w, j] > 1/2``
for all others) the gap of arm ``i`` is ``P[w, i] - 1/2``; without one it is its Copeland deficit
``max(cop) - cop[i]``, ``cop[i]`` the share of other arms it beats. ``regret`` is the mean of the two gaps of a round
(``duel_average`` or ``copeland``), ``strong_regret`` the larger and ``weak_regret`` the smaller one
(Yue, Broder, Kleinberg, Joachims 2012; Zoghi et al. 2015). A self-duel is a fair coin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_preference
from prefsim.ops import Array, bernoulli_kl, uniform

FEEDBACK = "duel"
METRICS = ("regret", "strong_regret", "weak_regret")


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    preference: Array
    """``P[i, j]``, shape (arms, arms)."""
    gap: Array
    """Gap of each arm, shape (arms,)."""


def dueling(preference: ArrayLike, names: Sequence[str] | None = None) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    preference : array_like, shape (arms, arms) or (instances, arms, arms)
        ``P[i, j]``, the probability that arm ``i`` wins against ``j``; ``P + P^T = 1``.
    names : sequence of str, optional
        Names of the arms.

    Raises
    ------
    ValueError
        If `preference` is not a preference matrix, or a batch mixes matrices with and without a Condorcet winner
        (their regrets would have different meanings).
    """
    matrix = as_preference(preference)
    if matrix.ndim > 3:
        raise ValueError(f"preference must have shape (arms, arms) or (instances, arms, arms); got {matrix.shape}.")
    matrix = matrix.reshape(-1, *matrix.shape[-2:])
    arms = matrix.shape[-1]
    wins = (matrix > 0.5).sum(-1)
    condorcet = wins.max(-1) == arms - 1
    if condorcet.any() != condorcet.all():
        raise ValueError(
            "preference mixes matrices with and without a Condorcet winner, whose regrets differ in meaning; "
            "simulate the two groups separately."
        )
    if condorcet.all():
        gap = matrix[np.arange(len(matrix)), wins.argmax(-1)] - 0.5
        normalisation = "duel_average"
    else:
        gap = (wins.max(-1, keepdims=True) - wins) / (arms - 1)
        normalisation = "copeland"
    return Bandit("dueling", Truth(matrix, gap), arms, normalisation=normalisation, names=names)


def feedback(truth, world, action, t, noise):
    """1 if the first arm of the pair wins, else 0."""
    return 1.0 if uniform(noise) < truth.preference[action[0], action[1]] else 0.0


def regrets(truth, world, action, t, signal):
    """Average, strong and weak regret of the round."""
    first = truth.gap[action[0]]
    second = truth.gap[action[1]]
    return 0.5 * (first + second), max(first, second), min(first, second)


def regret_slope_lower(truth):
    """Asymptotic lower bound on ``E regret / ln T`` of any consistent algorithm, for a Condorcet winner ``w``.

    ``sum_{i != w} min_{j : P_ij < 1/2} (D_wi + D_wj) / (2 kl(P_ij, 1/2))``, ``D = P - 1/2``
    (Komiyama, Honda, Kashima, Nakagawa 2015, Theorem 1).

    Raises
    ------
    ValueError
        If no arm beats every other one.
    """
    preference, arms = truth.preference, len(truth.preference)
    wins = (preference > 0.5).sum(-1)
    if wins.max() < arms - 1:
        raise ValueError("preference has no Condorcet winner (no arm beats every other one with probability > 1/2).")
    winner = wins.argmax()
    gap = preference[winner] - 0.5
    total = 0.0
    for i in range(arms):
        if i != winner:
            stronger = preference[i] < 0.5
            total += float(((gap[i] + gap[stronger]) / (2 * bernoulli_kl(preference[i][stronger], 0.5))).min())
    return total
