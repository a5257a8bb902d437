"""Who beats whom in one preference matrix: winners, scores, cycles, and what the margins of a total order obey."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.game import as_preference
from prefsim.ops import TIE


class Tournament(NamedTuple):
    """Summary of one preference matrix over ``n`` actions.

    ``i`` *beats* ``j`` when ``P_ij > 1/2`` and *ties* with it when ``P_ij = 1/2`` exactly.
    """

    condorcet_winner: int | None
    """The action that beats every other one, if there is one."""
    copeland: NDArray[np.float64]
    """Number of actions beaten plus half the number of ties with other actions, shape (n,); 0 to n - 1."""
    borda: NDArray[np.float64]
    """Mean probability of winning against the other actions, shape (n,); 1/2 if there is no other."""
    cyclic_triples: int
    """Triples in which each action beats one of the other two; a tie breaks the cycle."""
    triples: int
    """All triples, ``n (n - 1) (n - 2) / 6``."""
    transitive: bool
    """Weak stochastic transitivity: ``P_ij >= 1/2`` and ``P_jk >= 1/2`` imply ``P_ik >= 1/2``."""
    total_order: bool
    """Whether victories run in no circle, however long: some ranking has no action beaten by a later one."""
    strong: bool
    """Strong stochastic transitivity: a total order in which, if ``i`` beats ``j`` and ``j`` beats ``k``, the margins
    ``D = P - 1/2`` have ``D_ik >= max(D_ij, D_jk)``."""
    triangle: bool
    """Stochastic triangle inequality: a total order with ``D_ik <= D_ij + D_jk`` in the same triples."""
    gamma: float
    """Least ``gamma >= 1`` with ``gamma D_wk >= max(D_wj, D_jk)`` whenever the Condorcet winner ``w`` beats ``j`` and ``j``
    beats ``k`` (relaxed strong transitivity, Yue and Joachims 2011); NaN without a total order or a winner."""


def summarize(preference: ArrayLike) -> Tournament:
    """Summarise one preference matrix.

    A matrix is called *intransitive* when it is not ``transitive``: there are actions with ``i`` at least as good as
    ``j``, ``j`` at least as good as ``k``, and yet ``k`` beats ``i``; equivalently, no ranking (with ties) of the
    actions says who beats whom. Without ties that happens exactly when there are cyclic triples. With ties it may
    happen without any: ``a`` beats ``b``, ``b`` ties with ``c`` and ``c`` ties with ``a``.

    Parameters
    ----------
    preference : array_like, shape (n, n)
        ``P[i, j]``, the probability that ``i`` is preferred to ``j``; ``P + P^T = 1``.

    Raises
    ------
    TypeError, ValueError
        If `preference` is not one such matrix.

    Notes
    -----
    With ``B`` the 0/1 matrix of "beats", every cyclic triple is counted three times by ``trace(B^3)``
    (Kendall and Babington Smith, Biometrika 31, 1940, count the same triples from the scores when there are no ties).
    """
    matrix = as_preference(preference)
    if matrix.ndim != 2:
        raise ValueError(
            f"preference must be one matrix of shape (n, n); got {matrix.shape}. Summarise a batch one by one."
        )
    n = len(matrix)
    # Floats because integer matrix products have no fast path; counts below 2^53 stay exact.
    beats = (matrix > 0.5).astype(np.float64)
    holds = (matrix >= 0.5).astype(np.float64)
    others = max(n - 1, 1)
    wins = beats.sum(axis=1)
    winners = np.flatnonzero(wins == n - 1)
    # (holds @ holds)[i, k] > 0: some j with i >= j >= k; transitive iff k never beats i then.
    chained = holds @ holds > 0
    return Tournament(
        condorcet_winner=int(winners[0]) if len(winners) else None,
        copeland=wins + (holds - beats - np.eye(n)).sum(axis=1) / 2,
        borda=(matrix.sum(axis=1) - 0.5) / others if n > 1 else np.array([0.5]),
        cyclic_triples=int(((beats @ beats) * beats.T).sum()) // 3,
        triples=n * (n - 1) * (n - 2) // 6,
        transitive=not bool((chained & (beats.T > 0)).any()),
        **_margins(matrix - 0.5, int(winners[0]) if len(winners) else None),
    )


def _margins(margin: NDArray[np.float64], winner: int | None) -> dict[str, Any]:
    """What the margins of a total order obey, up to rounding; nothing if victories run in a circle."""
    beats = margin > 0
    left = np.ones(len(margin), dtype=bool)
    while left.any():
        unbeaten = left & ~beats[left].any(axis=0)
        if not unbeaten.any():
            return {"total_order": False, "strong": False, "triangle": False, "gamma": float("nan")}
        left &= ~unbeaten
    strong, triangle, gamma = True, True, 1.0
    for j in range(len(margin)):
        above, below = np.flatnonzero(beats[:, j]), np.flatnonzero(beats[j])
        into, out, across = margin[above, j, None], margin[None, j, below], margin[np.ix_(above, below)]
        larger = np.maximum(into, out)
        strong &= bool((across >= larger - TIE).all())
        triangle &= bool((across <= into + out + TIE).all())
        if winner in above and len(below):
            gamma = max(gamma, float((np.maximum(margin[winner, j], margin[j, below]) / margin[winner, below]).max()))
    return {"total_order": True, "strong": strong, "triangle": triangle, "gamma": gamma if winner is not None else float("nan")}
