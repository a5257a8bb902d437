"""Three kinds of raters whose majorities form a cycle, with a parameter for how uneven it is.

``P(2 > 1) = 2/3 - epsilon/2`` and ``P(1 > 3) = P(3 > 2) = 2/3 + epsilon/4``: the rankings 2 > 1 > 3, 1 > 3 > 2 and
3 > 2 > 1 in shares ``1/3 - epsilon/4, 1/3 + epsilon/2, 1/3 - epsilon/4``. The Nash equilibrium is
``(1/3 + epsilon/2, 1/3 + epsilon/2, 1/3 - epsilon)``.

Source: the example of Munos et al. 2024, arXiv 2312.00886; the equilibrium by substitution, ``A p = 0``.
"""

import numpy as np

from prefsim.game import PreferenceGame


def three_raters(epsilon: float = 0.1) -> PreferenceGame:
    """Build the three-rater game.

    Parameters
    ----------
    epsilon : float
        Unevenness, in [0, 1/3]; 0 gives odds 2/3 all around and the uniform equilibrium.

    Raises
    ------
    ValueError
        If `epsilon` leaves [0, 1/3].
    """
    if not isinstance(epsilon, (int, float)) or not 0 <= epsilon <= 1 / 3:
        raise ValueError(f"epsilon must lie in [0, 1/3], so that the equilibrium is a policy; got {epsilon!r}.")
    weak, strong = 1 / 6 - epsilon / 2, 1 / 6 + epsilon / 4
    payoff = np.array([[0, -weak, strong], [weak, 0, -strong], [-strong, strong, 0]])
    return PreferenceGame(0.5 + payoff, names=("1", "2", "3"))
