"""Random log-odds between Bradley-Terry and a low-rank cycle, with a dial for the share that is intransitive.

    s_ij = scale (sqrt(1 - intransitivity) g_ij + sqrt(intransitivity) c_ij)

with ``g_ij ∝ r_i - r_j`` for normal rewards and ``c_ij ∝ <R v_i, v_j>`` (``general_preference``) for normal embeddings
centred to ``sum_i v_i = 0``, both of root mean square 1 over pairs. Rows of ``c`` sum to 0, so the two are orthogonal and
the dial is exactly the share of ``sum s_ij^2`` that no rewards explain. At 0 the Nash equilibrium plays the largest
reward; at 1 the uniform policy is one of the log-odds game. In between the log-odds have rank at most ``rank + 2``; solve
with ``ps.solve_equilibrium``.

Source: the decomposition of Jiang, Lim, Yao and Ye 2011 (HodgeRank) on the complete graph.
"""

import numpy as np

from prefsim.game import PreferenceGame
from prefsim.noise import normals, stream_key


def low_rank_mixture(
    n: int = 10,
    rank: int = 2,
    intransitivity: float = 0.5,
    seed: int = 0,
    scale: float = 1.0,
    count: int | None = None,
    transform: str = "probability",
) -> PreferenceGame:
    """Draw a game, or `count` of them.

    Parameters
    ----------
    n : int
        Number of actions, ``>= 3``.
    rank : int
        Rank of the cyclic part, even, from 2 to ``n - 1``.
    intransitivity : float
        Share of the squared log-odds that is cyclic, in [0, 1].
    seed : int
        Games with the same seed have the same rewards and embeddings at every `intransitivity` and `scale`.
    scale : float
        Root mean square of the log-odds over pairs, ``> 0``.
    count : int, optional
        Number of games: the batch shape is ``(count,)``. Without it, a single game, equal to the first of any batch.
    transform : {"probability", "log_odds"}
        Play for ``sigmoid(s) - 1/2`` or for ``s`` itself.

    Raises
    ------
    ValueError
        Naming the argument that leaves its range.
    """
    for name, value, least in (("n", n, 3), ("rank", rank, 2), ("count", 1 if count is None else count, 1)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} must be a whole number >= {least}; got {value!r}.")
    if rank % 2 or rank > n - 1:
        raise ValueError(f"rank must be even, as of every skew matrix, and at most n - 1 = {n - 1}; got {rank}.")
    if not isinstance(intransitivity, (int, float)) or not 0 <= intransitivity <= 1:
        raise ValueError(f"intransitivity must lie in [0, 1]; got {intransitivity!r}.")
    if not isinstance(scale, (int, float)) or not 0 < scale < np.inf:
        raise ValueError(f"scale must be a finite number above 0; got {scale!r}.")
    instance = np.arange(1 if count is None else count)
    rewards = normals(stream_key(seed, "games.low_rank_mixture", "rewards"), instance, 0, 0, n)
    vectors = normals(stream_key(seed, "games.low_rank_mixture", "embeddings"), instance, 0, 0, n * rank)
    vectors = vectors.reshape(len(instance), n, rank)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    product = vectors[..., 0::2] @ np.swapaxes(vectors[..., 1::2], 1, 2)
    transitive = _unit(rewards[:, :, None] - rewards[:, None, :])
    cyclic = _unit(product - np.swapaxes(product, 1, 2))
    scores = scale * (np.sqrt(1 - intransitivity) * transitive + np.sqrt(intransitivity) * cyclic)
    preference = 0.5 + np.tanh(scores / 2) / 2
    return PreferenceGame(preference[0] if count is None else preference, transform=transform)


def _unit(scores: np.ndarray) -> np.ndarray:
    """Scale to root mean square 1 over pairs."""
    n = scores.shape[-1]
    return scores / np.sqrt((scores**2).sum(axis=(-2, -1), keepdims=True) / (n * (n - 1)))
