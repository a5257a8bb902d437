"""Six retrieval rankers compared by interleaving on arXiv.org clicks; arm 0 is the Condorcet winner.

Printed matrix of the public dueling-bandit library of Komiyama et al. (2015), from the data of Yue and Joachims
(2011). Arms 3 and 5 tie exactly and ``P[2, 4] = .51`` breaks strong stochastic transitivity.
"""

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling

MATRIX = (
    (0.50, 0.55, 0.55, 0.54, 0.61, 0.61),
    (0.45, 0.50, 0.55, 0.55, 0.58, 0.60),
    (0.45, 0.45, 0.50, 0.54, 0.51, 0.56),
    (0.46, 0.45, 0.46, 0.50, 0.54, 0.50),
    (0.39, 0.42, 0.49, 0.46, 0.50, 0.51),
    (0.39, 0.40, 0.44, 0.50, 0.49, 0.50),
)


def arxiv_six_rankers() -> Bandit:
    """Build the dueling bandit of the printed matrix."""
    return dueling(MATRIX)
