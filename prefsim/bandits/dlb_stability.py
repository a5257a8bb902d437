"""Dynamical linear bandit whose memory can be made longer while the steady rewards stay the same.

A scalar state ``x' = rho x + (1 - rho) <h - theta, u>`` with ``omega = 1``, so that ``h`` does not depend on ``rho``; the
actions are evenly spaced on the unit circle. What a learner loses more at a larger ``rho`` is the price of memory.
Source: derived, for sweeps over ``1 - rho``.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.action_sets import sphere
from prefsim.bandit import Bandit
from prefsim.bandits.dynamical_linear import dynamical_linear
from prefsim.game import as_floats


def dlb_stability(
    rho: float = 0.5,
    h: Sequence[float] = (0.5, 0.6),
    theta: Sequence[float] = (0.1, 0.3),
    sigma: float = 0.1,
    arms: int = 64,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    rho : float
        Memory of the state, in [0, 1).
    h, theta : sequence of two floats
        Cumulative Markov parameter, and its immediate part.
    sigma : float
        Standard deviation of the noise.
    arms : int
        Actions on the circle.

    Raises
    ------
    ValueError
        If `rho` leaves [0, 1), or `h` and `theta` are no pairs.
    """
    steady, now = as_floats(h, "h"), as_floats(theta, "theta")
    if not 0 <= rho < 1 or steady.shape != (2,) or now.shape != (2,):
        raise ValueError(f"rho must lie in [0, 1), h and theta hold two numbers; got {rho}, {h} and {theta}.")
    push = (1 - rho) * (steady - now)
    return dynamical_linear([[rho]], push[np.newaxis], [1.0], now, sphere(arms, 2), sigma)
