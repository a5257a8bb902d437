"""Hard Condorcet instance: ``P(i beats j) = 1/2 + j / (2 K)`` for ``i < j``, arms counted from 1.

How clearly an arm loses depends on that arm alone, and the winner's neighbour loses by ``1/K`` only: with ``K = 100`` from .51
to 1. Arm 0 (here) is the Condorcet winner, and the arms are totally ordered with strong stochastic transitivity.

Source: Urvoy, Clerot, Feraud, Naamane (2013), as in public code; one library lets the *later* arm win.
"""

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling


def hard_condorcet(arms: int = 10) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms ``K``, at least 2.

    Raises
    ------
    ValueError
        If `arms` is below 2.
    """
    if not isinstance(arms, (int, np.integer)) or arms < 2:
        raise ValueError(f"arms must be a whole number >= 2; got {arms!r}.")
    margin = np.triu(np.tile(np.arange(1, arms + 1) / (2 * arms), (arms, 1)), 1)
    return dueling(0.5 + margin - margin.T)
