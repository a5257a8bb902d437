"""Eight totally ordered arms with equally spaced preferences, ``P[i, j] = 1/2 + (j - i) / 20``.

Printed matrix of the public dueling-bandit library of Komiyama et al. (2015). Satisfies strong stochastic
transitivity and the stochastic triangle inequality.
"""

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling

MATRIX = tuple(tuple(0.5 + 0.05 * (j - i) for j in range(8)) for i in range(8))


def arithmetic8() -> Bandit:
    """Build the dueling bandit of the printed matrix."""
    return dueling(MATRIX)
