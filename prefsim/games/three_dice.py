"""Intransitive dice: an action is a die, the higher throw wins, equal throws count half.

The default dice (2, 4, 9), (1, 6, 8), (3, 5, 7) have equal sums and beat one another in a circle, each with odds 5/9: the
payoff is ``±1/18`` and the uniform policy the only Nash equilibrium (and, with a uniform reference, the regularised one
at every ``beta``). Other dice may be given; their equilibrium depends on them.

Source: Gardner 1970 (the dice are the rows of a magic square); the odds by counting.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def three_dice(faces: Sequence[Sequence[float]] = ((2, 4, 9), (1, 6, 8), (3, 5, 7))) -> PreferenceGame:
    """Build the game of dice.

    Parameters
    ----------
    faces : sequence of sequences
        The faces of each die, equally likely; three dice or any other number, of any numbers of faces.

    Raises
    ------
    TypeError, ValueError
        If there is no die, a die has no faces, or a face is not a finite number.
    """
    try:
        dice = [np.array(die, dtype=np.float64) for die in faces]
    except (TypeError, ValueError):
        raise TypeError(f"faces must be a list of dice, each a list of numbers; got {faces!r}.") from None
    if not dice or any(die.ndim != 1 or die.size == 0 or not np.isfinite(die).all() for die in dice):
        raise ValueError(f"faces must hold at least one die, each a list of at least one finite number; got {faces!r}.")
    preference = [[0.5 + np.sign(a[:, None] - b).mean() / 2 for b in dice] for a in dice]
    return PreferenceGame(preference)
