"""One dominant action: the first beats every other by `margin`, the others are equal among themselves.

The Nash equilibrium plays the first action alone; the regularised one is ``pi* ∝ mu exp(margin [y = 1] / beta)`` for every
reference (the game is additive with utilities (margin, 0, ..., 0)). Multiplicative weights from the uniform policy follow
``log(pi_t(1) / (1 - pi_t(1))) = -log(n - 1) + step margin t`` after ``t`` iterations, and the gap of any policy is
``2 margin (1 - p(1))``, that of an average of iterates included.

Source: ``(A p)_1 = margin (1 - p_1)`` and ``(A p)_y = -margin p_1`` for the others.
"""

import numpy as np

from prefsim.game import PreferenceGame


def dominated(n: int = 4, margin: float = 0.5) -> PreferenceGame:
    """Build the game with one dominant action.

    Parameters
    ----------
    n : int
        Number of actions, ``>= 2``.
    margin : float
        ``P(first > other) - 1/2``, in (0, 1/2].

    Raises
    ------
    ValueError
        If `n` is below 2 or `margin` leaves (0, 1/2].
    """
    if not isinstance(n, (int, np.integer)) or n < 2:
        raise ValueError(f"n must be a whole number of actions >= 2, one dominant and at least one dominated; got {n!r}.")
    if not isinstance(margin, (int, float)) or not 0 < margin <= 0.5:
        raise ValueError(f"margin must lie in (0, 1/2], so that the first action wins and 1/2 + margin <= 1; got {margin!r}.")
    preference = np.full((n, n), 0.5)
    preference[0, 1:] += margin
    preference[1:, 0] -= margin
    return PreferenceGame(preference)
