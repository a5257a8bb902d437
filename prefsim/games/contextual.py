"""Contextual benchmark: a batch of random games, one per context (a prompt), each with a planted regularised equilibrium.

Preferences below the diagonal are uniform on [0, 1]; the equilibrium of context ``x`` is ``pi*_x = softmax`` of independent
standard normals, and its reference the one that makes it so, ``mu ∝ pi* exp(-A pi* / beta)``. Solvers must cope with all
contexts by one step; metrics are averaged over them. A context does not depend on how many there are.
``planted(policy, payoff, beta)`` plants policies of your own.

Source: the fixed-point form of the regularised equilibrium (Munos et al. 2024, arXiv 2312.00886, Section 4).
"""

import numpy as np

from prefsim import ops
from prefsim.game import PreferenceGame
from prefsim.noise import normals, stream_key, uniforms


def contextual(n: int = 100, contexts: int = 5, seed: int = 0, beta: float = 0.1) -> PreferenceGame:
    """Draw the games of all contexts, batch shape (contexts,).

    Parameters
    ----------
    n : int
        Number of actions, ``>= 1``.
    contexts : int
        Number of contexts, ``>= 1``.
    seed : int
        Games with the same seed are the same games; the equilibria do not depend on `beta`.
    beta : float
        Temperature, ``> 0``.

    Raises
    ------
    ValueError
        If `n` or `contexts` is not a positive integer, or `beta` is not above 0.
    """
    for name, value in (("n", n), ("contexts", contexts)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1; got {value!r}.")
    if not isinstance(beta, (int, float)) or not 0 < beta < np.inf:
        raise ValueError(f"beta must be a finite temperature > 0, as only a regularised equilibrium is planted; got {beta!r}.")
    context = np.arange(contexts)
    draws = uniforms(stream_key(seed, "games.contextual", "preference"), context, 0, 0, n * (n - 1) // 2)
    rows, columns = np.tril_indices(n, -1)
    preference = np.full((contexts, n, n), 0.5)
    preference[:, rows, columns] = draws
    preference[:, columns, rows] = 1 - draws
    log_policy = ops.log_normalize(normals(stream_key(seed, "games.contextual", "policy"), context, 0, 0, n))
    # With the payoff as the game stores it, so that the planted policy is exact for that game.
    gain = np.matmul(PreferenceGame(preference).payoff, np.exp(log_policy)[..., None])[..., 0]
    return PreferenceGame(preference, beta=beta, log_reference=log_policy - gain / beta)
