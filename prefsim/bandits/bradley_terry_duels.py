"""Utility-based dueling bandit: ``P(i beats j) = sigmoid(scale (u_i - u_j))``.

The arm with the largest utility is the Condorcet winner; the arms are totally ordered, with strong stochastic transitivity and
the stochastic triangle inequality (derived: the sigmoid is increasing, and concave above 0). With utilities ``ln w`` these are
also the pairwise marginals of Plackett-Luce rankings of weights ``w`` (``plackett_luce_duels``).

Source: Bradley and Terry, Biometrika 39 (1952); the same preferences as a game are ``games.bradley_terry``.
"""

from collections.abc import Sequence

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling
from prefsim.games.bradley_terry import bradley_terry


def bradley_terry_duels(utilities: Sequence[float] = (1.0, 0.75, 0.5, 0.25, 0.0), scale: float = 1.0) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    utilities : array_like, shape (arms,) or (instances, arms)
        Utilities of the arms, in units of log-odds.
    scale : float
        Factor on the utilities, ``> 0``.

    Raises
    ------
    TypeError, ValueError
        If `utilities` does not hold finite numbers or `scale` is not a finite number above 0.
    """
    return dueling(bradley_terry(utilities, scale).preference)
