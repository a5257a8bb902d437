"""Dynamical linear bandit identified from real advertising data by Mussi, Metelli and Restelli (2023): three channels.

The actions are the permutations of (1, 1/2, 0). The reward is the sum of three outputs ``C x + D u``, so ``omega`` and
``theta`` are column sums. ``h = (.2515, -.0363, .1061)``, the best action is (1, 0, 1/2) with ``J = .3046``; the myopic
choice (1/2, 1, 0) earns ``.0895``. Matrices from the authors' configuration file; the data behind them are not public.
"""

from math import sqrt

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.dlb_synthetic import BUDGETS
from prefsim.bandits.dynamical_linear import dynamical_linear

A = ((0.38, 0.33, 0.60), (0.07, 0.76, -0.54), (0.18, 0.34, 0.05))
B = ((0.14, 0.34, -0.05), (-0.17, 0.03, -0.01), (0.04, -0.09, 0.17))
C = ((0.25, -0.14, 0.01), (-0.55, 0.20, -0.13), (-0.31, -0.10, -0.01))
D = ((0.11, 0.10, 0.01), (0.01, 0.36, 0.01), (0.01, -0.05, 0.0))


def dlb_advertising(sigma: float = 0.01, obs_noise: str = "scalar", published_bound: bool = False) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise; .01 in the paper.
    obs_noise : {"scalar", "summed"}
        Whether the reward carries one noise of that deviation, or the sum of one for each of the three outputs.
    published_bound : bool
        Tell ``X = U / (1 - rho)``, as the authors' code does, instead of ``U Bn Phi / (1 - rho)``.
    """
    radius = float(np.abs(np.linalg.eigvals(A)).max())
    bound = sqrt(1.25) / (1 - radius) if published_bound else None
    return dynamical_linear(A, B, np.sum(C, axis=0), np.sum(D, axis=0), BUDGETS, sigma, obs_noise, state_bound=bound)
