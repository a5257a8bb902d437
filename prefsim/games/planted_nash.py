"""Game without regularisation in which a chosen policy is a Nash equilibrium.

``A = Q B Q^T``, ``B`` random skew and ``Q = I - 1 pi^T``, scaled to ``max |A| = 1/2``. As ``Q^T pi = 0``, ``A pi = 0``: every
action is as good as any other against ``pi``, which is therefore an equilibrium. It is the only one iff the nullity of
``A`` is 1, which needs an odd number of actions: the rank of a skew matrix is even.
"""

import numpy as np
from numpy.typing import ArrayLike

from prefsim.game import PreferenceGame, as_log_policy
from prefsim.noise import normals, stream_key


def planted_nash(policy: ArrayLike = (0.5, 0.3, 0.2), seed: int = 0) -> PreferenceGame:
    """Build a random game with the Nash equilibrium `policy`.

    Parameters
    ----------
    policy : array_like, shape (n,)
        The equilibrium, all probabilities positive, at least two actions.
    seed : int
        Seed of the random ``B``.

    Raises
    ------
    ValueError
        If `policy` is not such a policy.
    """
    shape = np.shape(policy)
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(f"policy must be one policy over at least two actions; got shape {shape}.")
    n = shape[0]
    pi = np.exp(as_log_policy(policy, n, "policy", positive=True))
    draws = normals(stream_key(seed, "games", "planted_nash"), 0, np.arange(n), 0, n)
    centre = np.eye(n) - pi  # rows: Q = I - 1 pi^T
    payoff = centre @ (draws - draws.T) @ centre.T
    largest = np.abs(payoff).max()
    # With two actions A pi = 0 leaves only the game in which nothing is preferred to anything.
    payoff = 0.5 * payoff / largest if n > 2 else 0.0 * payoff
    return PreferenceGame(0.5 + (payoff - payoff.T) / 2)
