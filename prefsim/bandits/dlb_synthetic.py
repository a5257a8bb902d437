"""Synthetic dynamical linear bandit of Mussi, Metelli and Restelli (2023): budgets on three channels, one with memory.

The six playable actions are the permutations of (1, 1/2, 0), vertices of the budget set
``{u in [0, 1]^3, sum u <= 1.5}``. ``h = (.5625, .5, .1111)`` ranks the first channel first, but ``theta`` the second, so
a myopic learner loses ``.2569`` a round; the two best actions are ``1/32`` apart. Matrices from the authors'
configuration file (``B_11 = .45``, which gives ``h_1``; a printed ``.25`` contradicts it). Their simulator adds three
noises, ``obs_noise="summed"``, and tells ``X = U / (1 - rho)``.
"""

from itertools import permutations
from math import sqrt

from prefsim.bandit import Bandit
from prefsim.bandits.dynamical_linear import dynamical_linear

BUDGETS = tuple(sorted(permutations((1.0, 0.5, 0.0)), reverse=True))
"""(1, .5, 0), (1, 0, .5), (.5, 1, 0), (.5, 0, 1), (0, 1, .5), (0, .5, 1)."""

A = ((0.2, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.1))
B = ((0.45, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.1))
OMEGA = (1.0, 0.0, 0.1)
THETA = (0.0, 0.5, 0.1)


def dlb_synthetic(sigma: float = 0.01, obs_noise: str = "scalar", published_bound: bool = False) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise; .001, .01 (main) and .1 in the paper.
    obs_noise : {"scalar", "summed"}
        As in :func:`prefsim.bandits.dynamical_linear`.
    published_bound : bool
        Tell ``X = U / (1 - rho)``, as the authors' code does, instead of ``U Bn Phi / (1 - rho)``.
    """
    bound = sqrt(1.25) / (1 - 0.2) if published_bound else None
    return dynamical_linear(A, B, OMEGA, THETA, BUDGETS, sigma, obs_noise, state_bound=bound)
