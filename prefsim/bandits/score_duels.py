"""Duels of arms with scores: a table of scores and features stands for prompts, answers or items and their embeddings.

Arm ``i`` beats ``j`` with probability ``P_ij = s(v_i - v_j)``, ``s`` logistic. The utilities ``v`` simulate a user from the
scores as the authors of APOHF do (Lin et al. 2024, "Prompt optimization with human feedback"; their code): from the scores of
50 arms drawn at random,

    v = magnitude (score - mean) / sd    ("standard"),      v = magnitude (score - min) / (max - min)    ("minmax")

The regret of a duel is ``max v - (v_i + v_j) / 2``; ``preference_regret`` the same of ``s(max v - v) - 1/2``, at most a
quarter of it (the logistic function has slope at most 1/4); ``strong_regret`` and ``weak_regret`` take the larger and the
smaller gap of the pair instead of the mean. A self-duel is a fair coin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import noise
from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import Array, uniform

FEEDBACK = "duel"
SIDE = "features"
METRICS = ("regret", "preference_regret", "strong_regret", "weak_regret")


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    preference: Array
    """``P[i, j]``, shape (arms, arms)."""
    gap: Array
    """``max v - v`` of each arm, shape (arms,)."""
    margin: Array
    """``s(max v - v) - 1/2`` of each arm, shape (arms,)."""
    features: Array
    """Features of the arms, shape (arms, dimension)."""


EXAMPLE = ((1.0, 0.0), (0.8, 0.6), (0.0, 1.0), (-0.6, 0.8), (-1.0, 0.0))


def score_duels(
    scores: ArrayLike = (0.9, 0.7, 0.4, 0.3, 0.1),
    features: ArrayLike = EXAMPLE,
    magnitude: float = 10.0,
    scaling: str = "standard",
    evaluations: int = 50,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    scores : array_like, shape (arms,)
        Score of every arm.
    features : array_like, shape (arms, dimension)
        Its embedding, all that policies are told.
    magnitude : float
        How sharply the user prefers the better one, above 0.
    scaling : {"standard", "minmax"}
        What the scores are measured in.
    evaluations : int
        Arms drawn, without replacement, to find the mean and the spread of scores; all if there are fewer.
    seed : int
        Seed of that draw.
    names : sequence of str, optional
        Names of the arms.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite or out of range, or the scores drawn are all equal.
    """
    table = as_floats(scores, "scores")
    if table.ndim != 1 or len(table) < 2 or not np.isfinite(table).all():
        raise ValueError(f"scores must be finite, of shape (arms,) with at least two arms; got {scores!r}.")
    if not magnitude > 0 or evaluations < 2:
        raise ValueError(f"magnitude must be above 0 and evaluations at least 2; got {magnitude} and {evaluations}.")
    if scaling not in ("standard", "minmax"):
        raise ValueError(f"scaling must be 'standard' or 'minmax'; got {scaling!r}.")
    key = noise.stream_key(seed, "score_duels", "evaluations")
    seen = table[np.argsort(noise.uniforms(key, 0, 0, 0, len(table)))[:evaluations]]
    centre, spread = (seen.mean(), seen.std()) if scaling == "standard" else (seen.min(), np.ptp(seen))
    if not spread > 0:
        raise ValueError("the scores drawn are all equal, so that they have no scale; raise evaluations or rescale scores.")
    return from_utilities(magnitude * (table - centre) / spread, features, names=names)


def from_utilities(
    utility: NDArray[np.float64],
    features: ArrayLike,
    *,
    norm: float | None = None,
    flip: float = 0.0,
    normalisation: str = "utility of a table",
    names: Sequence[str] | None = None,
) -> Bandit:
    """Duels of arms with these utilities, shape (arms,); `flip` is the chance that a duel's outcome is exchanged.

    Policies are told `norm`, by default the least norm that a linear utility of this range could have.

    Raises
    ------
    ValueError
        If `features` do not fit.
    """
    vectors = as_floats(features, "features")
    if vectors.ndim != 2 or len(vectors) != len(utility) or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError(f"features must be finite, of shape ({len(utility)}, dimension); got shape {vectors.shape}.")
    length = float(np.linalg.norm(vectors, axis=1).max())
    if not length > 0:
        raise ValueError("features must not all be 0: they would tell nothing.")
    if norm is None:
        norm = max(float(np.ptp(utility)) / (2 * length), 1e-3)
    preference = flip + (1 - 2 * flip) * logistic(utility[:, None] - utility)
    gap = utility.max() - utility
    truth = Truth(preference[None], gap[None], logistic(gap)[None] - 0.5, vectors[None])
    told = {"norm": norm, "length": length, "dimension": vectors.shape[1]}
    return Bandit("score_duels", truth, len(utility), normalisation=normalisation, names=names, **told)  # type: ignore[arg-type]


def logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-x))``, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def feedback(truth, world, action, t, noise):
    """1 if the first arm of the pair wins, else 0."""
    return 1.0 if uniform(noise) < truth.preference[action[0], action[1]] else 0.0


def regrets(truth, world, action, t, signal):
    """Utility and preference regret of the round, then the larger and the smaller gap."""
    first, second = truth.gap[action[0]], truth.gap[action[1]]
    preferred = 0.5 * (truth.margin[action[0]] + truth.margin[action[1]])
    return 0.5 * (first + second), preferred, max(first, second), min(first, second)
