"""The general preference model (Zhang et al. 2024, arXiv 2410.02197): log-odds ``<R v_i, v_j>`` of embeddings.

``R`` has blocks ``[[0, -1], [1, 0]]``. Every skew matrix of rank ``2k`` has such embeddings in ``2k`` dimensions, by its
eigenpairs; the form ``v_i^T R v_j``, found in print as well, is the negative.
"""

from __future__ import annotations

import numpy as np

from prefsim import games
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.preference_model import embed, skew_scores


def _vectors(budget: str) -> list[on.Floats]:
    """Random embeddings by number of actions and blocks, fewer than the actions allow and as many."""
    key, many = "embeddings", {"fast": 1, "paper": 10}[budget]
    shapes = ((3, 2), (6, 2), (6, 4), (9, 8), (20, 6))
    return [on.random_policies(key, (many, n), rank)[i] for n, rank in shapes for i in range(many)]


def _reconstruction(budget: str, *, missing: int = 0) -> Evidence:
    cells = []
    for vectors in _vectors(budget):
        n, rank = vectors.shape
        if missing and rank == 2:
            continue  # no smaller rank is left
        scores = skew_scores(vectors)
        found = skew_scores(embed(scores, rank - 2 * missing))
        cells.append(on.Cell(np.abs(found - scores).max()[None], on.TOLERANCE * (1 + np.abs(scores).max())))
    return on.evidence("largest error of the log-odds", cells)


def _rotation(budget: str, *, skew: bool = True) -> Evidence:
    cells = []
    for vectors in _vectors(budget):
        block = np.array([[0.0, -1.0 if skew else 1.0], [1.0, 0.0]])
        rotation = np.kron(np.eye(vectors.shape[1] // 2), block)
        other = vectors @ rotation @ vectors.T
        game = games.general_preference(vectors / np.abs(vectors).max(), transform="log_odds")
        size = 1 + (np.abs(vectors) @ np.abs(vectors).T).max()
        cells.append(on.Cell(np.abs(skew_scores(vectors) + other).max()[None], on.TOLERANCE * size))
        # Through probabilities, whose logarithms lose what is near 1.
        scaled = game.payoff + other / np.abs(vectors).max() ** 2
        cells.append(on.Cell(np.abs(scaled).max()[None], 1e-15 * np.exp(np.abs(game.payoff).max()) * size))
    return on.evidence("largest sum of the two forms", cells)


CLAIMS = (
    Claim(
        "gpm.reconstruction",
        "Log-odds of rank 2k are <R v_i, v_j> of embeddings with k blocks, taken from the eigenpairs.",
        "Zhang et al. (arXiv 2410.02197) for the expressiveness; construction derived",
        ("rank of the log-odds at most 2k",),
        _reconstruction,
        (Control("one block fewer than half the rank", {"missing": 1}),),
        ("gpo",),
    ),
    Claim(
        "gpm.rotation",
        "<R v_i, v_j> = -v_i^T R v_j, and the scores and games of this package are the first.",
        "Zhang et al. (arXiv 2410.02197) for the definition; sign derived",
        ("R has blocks [[0, -1], [1, 0]]",),
        _rotation,
        (Control("R is symmetric", {"skew": False}),),
        ("gpo",),
    ),
)
