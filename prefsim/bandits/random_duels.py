"""Dueling bandit with preferences drawn at random, ``P(i beats j)`` uniform on [0, 1] for ``i > j``.

An arm beats all others with probability ``2^-(K-1)``, so there is a Condorcet winner with probability ``K 2^-(K-1)``, 2 % for
ten arms, and regret is counted against Copeland winners unless said otherwise. The matrices are those of ``games.random``.

Source: definition; used by Wu and Liu (2016).
"""

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling
from prefsim.games.random import random


def random_duels(arms: int = 10, seed: int = 0, count: int = 1, normalisation: str = "copeland") -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms, at least 2.
    seed : int
        Problems with the same seed are the same problems.
    count : int
        Number of problems in the batch.
    normalisation : str
        What ``regret`` is, as for ``dueling``.

    Raises
    ------
    ValueError
        If `arms` or `count` is too small, or `normalisation` is none or needs a winner that is not there.
    """
    if arms < 2:
        raise ValueError(f"arms must be a whole number >= 2; got {arms!r}.")
    return dueling(random(arms, seed, count).preference, normalisation=normalisation)
