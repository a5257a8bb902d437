"""Random dueling bandit with strong stochastic transitivity: ``D_ik >= max(D_ij, D_jk)`` for ``i < j < k``.

That says that margins grow to the right and upwards from the diagonal, so every such matrix arises from increments
``r_ij >= 0`` by ``D_ij = max(D_i,j-1 , D_i+1,j) + r_ij`` (derived). Here the increments are independent, uniform on [0, 1], and
the margins are then mapped linearly so that the largest is `largest` and a difference of nothing is `smallest`. Arm 0 is the
Condorcet winner. The stochastic triangle inequality need not hold.

Source: the condition is that of Yue, Broder, Kleinberg, Joachims (2012); the law is ours.
"""

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling
from prefsim.noise import stream_key, uniforms


def transitive_duels(arms: int = 8, seed: int = 0, smallest: float = 0.02, largest: float = 0.4) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms, at least 2.
    seed : int
        Problems with the same seed are the same problems.
    smallest, largest : float
        All margins ``P - 1/2`` above the diagonal lie between, and the last arm loses to the first by `largest`.

    Raises
    ------
    ValueError
        If `arms` is below 2 or not ``0 < smallest <= largest <= 1/2``.
    """
    if not isinstance(arms, (int, np.integer)) or arms < 2:
        raise ValueError(f"arms must be a whole number >= 2; got {arms!r}.")
    if not 0 < smallest <= largest <= 0.5:
        raise ValueError(f"margins need 0 < smallest <= largest <= 1/2; got {smallest!r} and {largest!r}.")
    draws = uniforms(stream_key(seed, "bandits.transitive_duels", "preference"), 0, 0, 0, arms * (arms - 1) // 2)
    margin = np.zeros((arms, arms))
    margin[np.triu_indices(arms, 1)] = np.ravel(draws)
    for apart in range(2, arms):
        for i in range(arms - apart):
            margin[i, i + apart] += max(margin[i, i + apart - 1], margin[i + 1, i + apart])
    margin = np.triu(smallest + (largest - smallest) * margin / margin.max(), 1)
    return dueling(0.5 + margin - margin.T)
