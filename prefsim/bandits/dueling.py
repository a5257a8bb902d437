"""Dueling bandit: the learner names two arms and sees which one wins.

Arm ``i`` beats ``j`` with probability ``P[i, j]``; ``P + P^T = 1``, ``D = P - 1/2``. A self-duel is a fair coin. What an arm
costs depends on the winner it is held against; the gap of arm ``i`` is

    duel_average, duel_sum    D[w, i],  w the Condorcet winner, which beats all others
    copeland                  max(c) - c[i],  c[i] the share of other arms that i beats
    borda                     max(b) - b[i],  b[i] the mean of P[i, j] over the others
    maximin                   (p^T D)[i],  p a von Neumann winner: p^T D >= 0, the Nash equilibrium of D

``regret`` is the mean of the two gaps of a round (their sum for ``duel_sum``), ``strong_regret`` the larger and
``weak_regret`` the smaller one (Yue, Broder, Kleinberg, Joachims 2012; Zoghi et al. 2015). Whatever ``regret`` is, the
metrics ``condorcet_regret`` (the average, NaN without a winner), ``copeland_regret`` and ``borda_regret`` are there too, and

    maximin_regret(T) = max_q sum_t (q^T D e_i + q^T D e_j) / 2

against the mixture that is best in hindsight (Dudik et al. 2015). As ``q`` is chosen at ``T``, that is at least the regret
against the fixed ``p``, and it is no sum of costs of rounds; the maximum is attained by a single arm.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.bandit import Bandit
from prefsim.game import as_preference
from prefsim.matrix_games import nash
from prefsim.ops import Array, bernoulli_kl, uniform

FEEDBACK = "duel"
METRICS = ("regret", "strong_regret", "weak_regret")
TALLIES = ("condorcet_regret", "copeland_regret", "borda_regret", "maximin_regret")

NORMALISATIONS = ("auto", "duel_average", "duel_sum", "copeland", "borda", "maximin")

Floats = NDArray[np.float64]


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    preference: Array
    """``P[i, j]``, which decides duels; shape (arms, arms)."""
    gap: Array
    """Gap of each arm in the chosen sense, shape (arms,)."""
    share: Array
    """Factor on the sum of two gaps, 1/2, or 1 for ``duel_sum``; shape (1,)."""
    condorcet: Array
    """Gaps to the Condorcet winner, NaN without one; shape (arms,)."""
    copeland: Array
    """Copeland gaps, shape (arms,)."""
    borda: Array
    """Borda gaps, shape (arms,)."""
    margin: Array
    """``D[i, j]``, by which the maximin regret is counted; shape (arms, arms)."""


def dueling(preference: ArrayLike, names: Sequence[str] | None = None, normalisation: str = "auto") -> Bandit:
    """Build the environment.

    Parameters
    ----------
    preference : array_like, shape (arms, arms) or (instances, arms, arms)
        ``P[i, j]``, the probability that arm ``i`` wins against ``j``; ``P + P^T = 1``.
    names : sequence of str, optional
        Names of the arms.
    normalisation : {"auto", "duel_average", "duel_sum", "copeland", "borda", "maximin"}
        What ``regret`` is; ``"auto"`` is ``duel_average`` with a Condorcet winner and ``copeland`` without.

    Raises
    ------
    ValueError
        If `preference` is not a preference matrix; if `normalisation` is no such name, or needs a Condorcet winner that
        is not there; or if a batch mixes matrices with and without one under ``"auto"`` (their regrets would have
        different meanings).
    """
    matrix = as_preference(preference)
    if matrix.ndim > 3:
        raise ValueError(f"preference must have shape (arms, arms) or (instances, arms, arms); got {matrix.shape}.")
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(map(repr, NORMALISATIONS))}; got {normalisation!r}.")
    matrix = matrix.reshape(-1, *matrix.shape[-2:])
    arms = matrix.shape[-1]
    notions = gaps(matrix)
    missing = np.isnan(notions["condorcet"]).any(axis=-1)
    if normalisation == "auto":
        if missing.any() != missing.all():
            raise ValueError(
                "preference mixes matrices with and without a Condorcet winner, whose regrets differ in meaning; "
                "simulate the two groups separately, or say which normalisation both shall have."
            )
        normalisation = "copeland" if missing.any() else "duel_average"
    elif normalisation.startswith("duel") and missing.any():
        raise ValueError(
            f'normalisation="{normalisation}" is regret to a Condorcet winner, but preference has none (no arm beats every '
            'other one with probability > 1/2); choose "copeland", "borda" or "maximin".'
        )
    if normalisation == "maximin":
        gap = np.array([_von_neumann(m) for m in matrix - 0.5])
    else:
        gap = notions["condorcet" if normalisation.startswith("duel") else normalisation]
    share = np.full((len(matrix), 1), 1.0 if normalisation == "duel_sum" else 0.5)
    truth = Truth(matrix, gap, share, **notions, margin=matrix - 0.5)
    return Bandit("dueling", truth, arms, normalisation=normalisation, names=names)


def gaps(matrix: Floats) -> dict[str, Floats]:
    """Gaps to the Condorcet winner (NaN without one), Copeland and Borda gaps of matrices (instances, arms, arms)."""
    others = max(matrix.shape[-1] - 1, 1)
    wins = (matrix > 0.5).sum(-1)
    condorcet = matrix[np.arange(len(matrix)), wins.argmax(-1)] - 0.5
    condorcet[wins.max(-1) < matrix.shape[-1] - 1] = np.nan
    scores = (matrix - 0.5).sum(-1) / others
    return {
        "condorcet": condorcet,
        "copeland": (wins.max(-1, keepdims=True) - wins) / others,
        "borda": scores.max(-1, keepdims=True) - scores,
    }


def _von_neumann(margin: Floats) -> Floats:
    """``p^T D`` for a von Neumann winner ``p``, without the rounding below 0."""
    log_policy, _ = nash(margin, 1e-12)
    return np.maximum(np.exp(log_policy) @ margin, 0.0)


def feedback(truth, world, action, t, noise):
    """1 if the first arm of the pair wins, else 0."""
    return 1.0 if uniform(noise) < truth.preference[action[0], action[1]] else 0.0


def regrets(truth, world, action, t, signal):
    """Regret of the round, and the larger and the smaller of its two gaps."""
    first = truth.gap[action[0]]
    second = truth.gap[action[1]]
    return truth.share[0] * (first + second), max(first, second), min(first, second)


def tallies(truth, world, plays, t):
    """Every notion that follows from how often each arm was in a duel; a round plays two."""
    condorcet = 0.0
    copeland = 0.0
    borda = 0.0
    maximin = 0.0
    for i in range(len(truth.gap)):
        condorcet += 0.5 * plays[i] * truth.condorcet[i]
        copeland += 0.5 * plays[i] * truth.copeland[i]
        borda += 0.5 * plays[i] * truth.borda[i]
        # Some arm wins at least half of the duels against the mixture that was played, so 0 is no floor of ours.
        against = 0.0
        for j in range(len(truth.gap)):
            against += 0.5 * plays[j] * truth.margin[i, j]
        maximin = max(maximin, against)
    return condorcet, copeland, borda, maximin


def regret_slope_lower(truth):
    """Asymptotic lower bound on ``E condorcet_regret / ln T`` of any consistent algorithm, for a Condorcet winner ``w``.

    ``sum_{i != w} min_{j : P_ij < 1/2} (D_wi + D_wj) / (2 kl(P_ij, 1/2))``
    (Komiyama, Honda, Kashima, Nakagawa 2015, Theorem 1). It is about ``duel_average`` alone: no other regret is held
    against it, and that of ``duel_sum`` is twice as large.

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
