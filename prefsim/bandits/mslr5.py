"""Five informational rankers of the MSLR web-search data set; arm 0 is the Condorcet winner.

Printed matrix of the public code of Wu and Liu (2016), estimated from the MSLR-WEB30K data.
"""

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling

UPPER = (
    (0.53519466, 0.6125935, 0.75696008, 0.76547422),
    (0.57985831, 0.72745116, 0.73820053),
    (0.65895708, 0.66877089),
    (0.50999465,),
)
MATRIX = tuple(
    tuple(0.5 if i == j else UPPER[i][j - i - 1] if i < j else 1 - UPPER[j][i - j - 1] for j in range(5))
    for i in range(5)
)


def mslr5() -> Bandit:
    """Build the dueling bandit of the printed matrix."""
    return dueling(MATRIX)
