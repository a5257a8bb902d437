"""Rock-paper-scissors with three margins: 1 beats 2 by a, 3 beats 1 by b, 2 beats 3 by c.

The Nash equilibrium is ``(c, b, a) / (a + b + c)``: an action is played in proportion to the margin of the match it
is not part of. With equal margins it is uniform, and so is the regularised equilibrium at every ``beta`` when the
reference is uniform. The default is the classic game (1 rock, 2 scissors, 3 paper); ``weights=(1/18, 1/18, 1/18)`` is
the game of three intransitive dice with odds 5/9.

Source: three-action skew-symmetric matrices; ``A (c, b, a) = 0`` by substitution.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def rock_paper_scissors(weights: Sequence[float] = (0.5, 0.5, 0.5)) -> PreferenceGame:
    """Build the generalised rock-paper-scissors game.

    Parameters
    ----------
    weights : (a, b, c)
        Margins over 1/2: ``P(1 > 2) = 1/2 + a``, ``P(3 > 1) = 1/2 + b``, ``P(2 > 3) = 1/2 + c``; each in [0, 1/2].

    Raises
    ------
    TypeError, ValueError
        If `weights` is not three numbers in [0, 1/2].
    """
    try:
        margins = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"weights must be three numbers (a, b, c); got {weights!r}.") from None
    if margins.shape != (3,) or not ((margins >= 0) & (margins <= 0.5)).all():
        raise ValueError(f"weights must be three margins (a, b, c) in [0, 1/2], so that 1/2 + a <= 1; got {weights!r}.")
    a, b, c = margins
    payoff = np.array([[0, a, -b], [-a, 0, c], [b, -c, 0]])
    return PreferenceGame(0.5 + payoff, names=("rock", "scissors", "paper"))
