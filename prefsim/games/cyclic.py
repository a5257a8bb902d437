"""Cyclic tournament on an odd number of actions: each beats the next ``(n - 1) / 2`` around a circle.

By symmetry the uniform policy is the Nash equilibrium and, with a uniform reference, the regularised equilibrium at
every ``beta``. At margin 1/2 self-play rotates around it at the largest frequency any game of ``n`` actions allows,
``omega = cot(pi / (2 n)) / (2 n)`` (in general ``margin cot(pi / (2 n)) / n``), which makes it the hardest game for
methods that need small steps.

Source: eigenvalues of a circulant matrix.
"""

import numpy as np

from prefsim.game import PreferenceGame


def cyclic(n: int = 3, margin: float = 0.5) -> PreferenceGame:
    """Build the cyclic tournament.

    Parameters
    ----------
    n : int
        Number of actions, odd and at least 3.
    margin : float
        ``P(winner > loser) - 1/2``, in [0, 1/2].

    Raises
    ------
    ValueError
        If `n` is even or below 3, or `margin` leaves [0, 1/2].
    """
    if not isinstance(n, (int, np.integer)) or n < 3 or n % 2 == 0:
        raise ValueError(f"n must be an odd number of actions >= 3, so that each beats as many as beat it; got {n!r}.")
    if not isinstance(margin, (int, float)) or not 0 <= margin <= 0.5:
        raise ValueError(f"margin must lie in [0, 1/2], so that 1/2 + margin is a probability; got {margin!r}.")
    ahead = (np.arange(n) - np.arange(n)[:, None]) % n
    return PreferenceGame(0.5 + margin * np.sign(ahead) * np.where(ahead <= n // 2, 1, -1))
