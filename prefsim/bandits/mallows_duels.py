"""Duels of Mallows rankings: arm ``i`` wins if it comes before ``j`` in a ranking drawn around the order of the arms.

A ranking has probability in proportion to ``phi^d``, ``d`` its Kendall distance (discordant pairs) to the order 0, 1, 2, ....
For ``i < j`` and ``k = j - i`` the pairwise marginal depends on ``k`` alone,

    P(i beats j) = h(k + 1) - h(k),   h(k) = k / (1 - phi^k)

(Mallows 1957; Busa-Fekete, Huellermeier and Szorenyi 2014, Corollary 3, as recalled; checked by enumeration of rankings). Arm 0
is the Condorcet winner, with ``P = 1/(1 + phi)`` against its neighbour, and strong stochastic transitivity holds.
"""

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling


def mallows_duels(arms: int = 8, dispersion: float = 0.8) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms, at least 2.
    dispersion : float
        The number ``phi`` in [0, 1): 0 is one certain ranking, 1 would be a uniformly random one.

    Raises
    ------
    ValueError
        If `arms` is below 2 or `dispersion` leaves [0, 1).
    """
    if not isinstance(arms, (int, np.integer)) or arms < 2:
        raise ValueError(f"arms must be a whole number >= 2; got {arms!r}.")
    if not 0 <= dispersion < 1:
        raise ValueError(f"dispersion must lie in [0, 1); at 1 all rankings are alike and no arm is best; got {dispersion!r}.")
    places = np.arange(arms)
    apart = places - places[:, None]
    if dispersion == 0:
        return dueling(0.5 + np.sign(apart) / 2)
    theta = -np.log(dispersion)
    # h(k) = k/2 + y coth(y) / theta with y = k theta / 2, and y coth y - 1 keeps its digits as phi approaches 1.
    y = np.arange(arms + 1) * theta / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.where(y > 0.02, y / np.tanh(y) - 1, y**2 / 3 - y**4 / 45 + 2 * y**6 / 945)
    margin = np.diff(bend) / theta
    return dueling(0.5 + np.sign(apart) * margin[np.abs(apart)])
