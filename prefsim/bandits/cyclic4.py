"""Four arms: arm 0 beats the rest mildly, the rest beat one another strongly in a cycle.

Printed matrix of the public dueling-bandit library of Komiyama et al. (2015). Exploiting the strong cycle is far
cheaper than comparing with the winner: the optimal regret coefficient is .815 against 7.45.
"""

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling

MATRIX = (
    (0.5, 0.6, 0.6, 0.6),
    (0.4, 0.5, 0.9, 0.1),
    (0.4, 0.1, 0.5, 0.9),
    (0.4, 0.9, 0.1, 0.5),
)


def cyclic4() -> Bandit:
    """Build the dueling bandit of the printed matrix."""
    return dueling(MATRIX)
