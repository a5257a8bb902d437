"""Random game: preferences below the diagonal uniform on [0, 1], reference logits standard normal.

The benchmark of EGPO (arXiv 2503.08942, official code). No closed form: solve it with ``ps.solve_equilibrium``. At
``beta = 0`` the Nash policy leaves about half of the actions out. Game ``i`` of a batch does not depend on `count`.
"""

import numpy as np

from prefsim.game import PreferenceGame
from prefsim.noise import normals, stream_key, uniforms


def random(n: int = 10, seed: int = 0, count: int | None = None, reference: str = "normal") -> PreferenceGame:
    """Draw a random game, or `count` of them.

    Parameters
    ----------
    n : int
        Number of actions, ``>= 1``.
    seed : int
        Games with the same seed are the same games.
    count : int, optional
        Number of games: the batch shape is ``(count,)``. Without it, a single game, equal to the first of any batch.
    reference : {"normal", "uniform"}
        Reference policy: softmax of independent standard normals, or uniform.

    Raises
    ------
    ValueError
        If `n` or `count` is not a positive integer, or `reference` is neither name.
    """
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n must be a whole number of actions >= 1; got {n!r}.")
    if count is not None and (not isinstance(count, (int, np.integer)) or count < 1):
        raise ValueError(f"count must be a whole number of games >= 1, or left out for a single game; got {count!r}.")
    if reference not in ("normal", "uniform"):
        raise ValueError(f'reference must be "normal" or "uniform"; got {reference!r}.')
    instance = np.arange(1 if count is None else count)
    draws = uniforms(stream_key(seed, "games.random", "preference"), instance, 0, 0, n * (n - 1) // 2)
    rows, columns = np.tril_indices(n, -1)
    preference = np.full((len(instance), n, n), 0.5)
    preference[:, rows, columns] = draws
    preference[:, columns, rows] = 1 - draws
    logits = np.zeros((len(instance), n))
    if reference == "normal":
        logits = normals(stream_key(seed, "games.random", "reference"), instance, 0, 0, n)
    if count is None:
        return PreferenceGame(preference[0], log_reference=logits[0])
    return PreferenceGame(preference, log_reference=logits)
