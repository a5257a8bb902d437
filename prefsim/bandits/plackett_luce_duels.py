"""Duels of Plackett-Luce rankings: ``P(i beats j) = w_i / (w_i + w_j)``.

Plackett-Luce draws a ranking from the top, each place in proportion to the weights of the arms not yet placed. Which of two
arms comes first does not depend on the others, so its pairwise marginals are exactly Bradley-Terry preferences with utilities
``ln w`` (derived; Luce's axiom), and nothing else of the rankings shows in duels.

Source: Luce 1959; Plackett 1975.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.bradley_terry_duels import bradley_terry_duels
from prefsim.game import as_floats


def plackett_luce_duels(weights: Sequence[float] = (5.0, 4.0, 3.0, 2.0, 1.0)) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    weights : array_like, shape (arms,) or (instances, arms)
        Weights of the arms, ``> 0``.

    Raises
    ------
    ValueError
        If a weight is not a finite number above 0.
    """
    values = as_floats(weights, "weights")
    if values.size == 0 or not np.isfinite(values).all() or values.min() <= 0:
        raise ValueError(f"weights must be finite numbers above 0, one per arm; got {weights!r}.")
    return bradley_terry_duels(np.log(values).tolist())
