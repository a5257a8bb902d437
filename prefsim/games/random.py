"""Random game: preferences below the diagonal uniform on [0, 1] or of another law, reference logits standard normal.

The default is the benchmark of EGPO (arXiv 2503.08942, official code). No closed form: solve it with
``ps.solve_equilibrium``. At ``beta = 0`` the Nash policy leaves about half of the actions out. With ``law="sign"`` the game
is a random tournament, whose Nash equilibrium is unique and plays an odd number of actions (Fisher and Ryan 1992, American
Mathematical Monthly 99). Game ``i`` of a batch does not depend on `count`.
"""

import numpy as np

from prefsim.game import PreferenceGame
from prefsim.noise import normals, stream_key, uniforms

LAWS = ("uniform", "normal", "beta_extreme", "sign")


def random(
    n: int = 10, seed: int = 0, count: int | None = None, reference: str = "normal", law: str = "uniform"
) -> PreferenceGame:
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
    law : {"uniform", "normal", "beta_extreme", "sign"}
        Law of the ``P(i > j)``, ``i > j``, independent of one another: uniform on [0, 1]; normal log-odds,
        ``sigmoid(N(0, 1))``; Beta(1/2, 1/2), which favours the extremes; 0 or 1.

    Raises
    ------
    ValueError
        If `n` or `count` is not a positive integer, or `reference` or `law` is none of the names.
    """
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n must be a whole number of actions >= 1; got {n!r}.")
    if count is not None and (not isinstance(count, (int, np.integer)) or count < 1):
        raise ValueError(f"count must be a whole number of games >= 1, or left out for a single game; got {count!r}.")
    if reference not in ("normal", "uniform"):
        raise ValueError(f'reference must be "normal" or "uniform"; got {reference!r}.')
    if law not in LAWS:
        raise ValueError(f"law must be one of {', '.join(map(repr, LAWS))}; got {law!r}.")
    instance = np.arange(1 if count is None else count)
    draws = uniforms(stream_key(seed, "games.random", "preference"), instance, 0, 0, n * (n - 1) // 2)
    if law == "normal":
        logits = normals(stream_key(seed, "games.random", "preference"), instance, 0, 0, n * (n - 1) // 2)
        draws = 0.5 + np.tanh(logits / 2) / 2
    elif law == "beta_extreme":
        draws = np.sin(np.pi / 2 * draws) ** 2  # the arcsine law's distribution function, inverted
    elif law == "sign":
        draws = (draws < 0.5).astype(np.float64)
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
