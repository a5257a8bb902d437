"""General preference model: log-odds ``s_ij = <R v_i, v_j>`` of embeddings ``v``, with the rotation ``R`` by +90 degrees.

``R`` is block-diagonal with blocks ``[[0, -1], [1, 0]]``, so a block adds ``v_i1 v_j2 - v_i2 v_j1``: in the plane
``|v_i| |v_j| sin(angle from v_i to v_j)``, and an action beats those ahead of it counterclockwise. (``v_i^T R v_j``, which
is found in print as well, is the negative.) Embeddings ``(r_i, 1)`` give Bradley-Terry with rewards ``r``; ``2k`` dimensions
give every skew matrix of rank ``2k``. Embeddings that sum to 0 make the uniform policy a Nash equilibrium of the log-odds
game. The default, three directions 120 degrees apart, has equal odds around a cycle: uniform is the only one of both games.

Source: Zhang et al. 2024, arXiv 2410.02197; sign derived.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def general_preference(
    embeddings: Sequence[Sequence[float]] = ((1.0, 0.0), (-0.5, 0.75**0.5), (-0.5, -(0.75**0.5))),
    scales: Sequence[float] | None = None,
    transform: str = "probability",
) -> PreferenceGame:
    """Build the game of an embedding.

    Parameters
    ----------
    embeddings : array_like, shape (..., n, 2k)
        One vector per action; leading axes make a batch of games.
    scales : array_like, shape (k,), optional
        Weights ``lambda_l >= 0`` of the blocks; 1 when omitted.
    transform : {"probability", "log_odds"}
        Play for ``sigmoid(s) - 1/2`` or for ``s`` itself.

    Raises
    ------
    TypeError, ValueError
        If `embeddings` does not hold an even number of finite coordinates per action, `scales` not one number >= 0 per
        block, or log-odds beyond ±30 are to be played for, which probabilities do not resolve.
    """
    try:
        vectors = np.array(embeddings, dtype=np.float64)
        weights = None if scales is None else np.array(scales, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError("embeddings and scales must be arrays of numbers, one row of embeddings per action.") from None
    if vectors.ndim < 2 or 0 in vectors.shape or vectors.shape[-1] % 2 or not np.isfinite(vectors).all():
        raise ValueError(
            "embeddings must have shape (..., n, 2k) with finite entries, an even number of coordinates per action; got "
            f"shape {vectors.shape}. Append a constant coordinate to a list of rewards."
        )
    if weights is None:
        weights = np.ones(vectors.shape[-1] // 2)
    if weights.shape != (vectors.shape[-1] // 2,) or not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(f"scales must hold one finite number >= 0 per block, {vectors.shape[-1] // 2} here; got {scales!r}.")
    first, second = weights * vectors[..., 0::2], vectors[..., 1::2]
    product = first @ np.swapaxes(second, -1, -2)
    scores = product - np.swapaxes(product, -1, -2)
    if transform == "log_odds" and np.abs(scores).max() > 30:
        raise ValueError(
            f"log-odds reach {np.abs(scores).max():.3g}, which probabilities near 1 do not resolve; scale the embeddings so "
            "that they stay within 30, or use transform='probability'."
        )
    return PreferenceGame(0.5 + np.tanh(scores / 2) / 2, transform=transform)
