"""Arms in a circle, each beating the next half of them, with or without an arm that beats them all mildly.

With a winner, arm 0 beats every other arm by `winner` and the others beat one another by `margin`, more strongly: comparing
them with one another teaches faster and may cost less than comparing with the winner (``cyclic4`` is the case of four arms).
With ``winner=0`` the circle is alone: no arm is best in any sense, Copeland and Borda regret are 0 whatever is played, and the
von Neumann winner mixes all arms evenly, so that only ``maximin_regret`` tells policies apart.

Source: the four-armed matrix is that of Komiyama et al. (2015); the family is ours.
"""

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling
from prefsim.games.cyclic import cyclic


def cyclic_duels(arms: int = 4, margin: float = 0.4, winner: float = 0.1) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms, the winner included; the circle must have an odd number of them, at least 3.
    margin : float
        ``P - 1/2`` within the circle, in (0, 1/2].
    winner : float
        ``P - 1/2`` of arm 0 against the circle, in (0, 1/2]; 0 for a circle without a winner, of all `arms`.

    Raises
    ------
    ValueError
        If the circle has an even number of arms or fewer than 3, or a margin is out of range.
    """
    extra = 1 if winner != 0 else 0
    if not isinstance(arms, (int, np.integer)) or arms - extra < 3 or (arms - extra) % 2 == 0:
        wanted = "even and at least 4, a winner and an odd circle" if extra else "odd and at least 3"
        raise ValueError(f"arms must be {wanted}; got {arms!r}.")
    if not 0 < margin <= 0.5 or not 0 <= winner <= 0.5:
        raise ValueError(f"margin must lie in (0, 1/2] and winner in [0, 1/2]; got {margin!r} and {winner!r}.")
    preference = np.full((arms, arms), 0.5)
    preference[extra:, extra:] = cyclic(int(arms) - extra, margin).preference
    if extra:
        preference[0, 1:], preference[1:, 0] = 0.5 + winner, 0.5 - winner
    return dueling(preference)
