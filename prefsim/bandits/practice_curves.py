"""Practice curves: a tallying bandit in which every arm becomes better with use, and the best one looks worst when fresh.

With ``y = z / W`` the share of the full tally, the best arm's loss is ``.3 + .65 (1 - y^6)``: next to nothing happens before
it has been practised, and it ends at .3. Every other arm has ``e + (s - e)(1 - y)`` with ``e = .3 + gap (1 + U[0, 1])`` and
``s`` uniform on [.5, .7]: quick to learn, and mediocre. Repeated exposure optimality holds by construction, and weights and
curves do not increase, so that complete policy regret is known. Weights are ``decay^j``. Source: our instance, in the setting
of Malik, Igoe, Li, Singh 2023 (``tallying``).
"""

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits.tallying import tallying
from prefsim.noise import stream_key, uniforms

END, FRESH, POWER = 0.3, 0.95, 6
"""The best arm's losses in and out of practice, and how late practice pays."""

KNOTS = 500
"""Least number of knots of a curve; a multiple of the memory, so that curves are exact for equal weights."""


def practice_curves(
    arms: int = 10,
    memory: int = 20,
    gap: float = 0.1,
    decay: float = 1.0,
    deviation: float = 0.1,
    seed: int = 0,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    arms : int
        Number of arms, at least 2; the first is the best.
    memory : int
        Plays that count, at least 1.
    gap : float
        Least excess of the other arms' full-tally losses, in [0, .1]; the largest is twice that.
    decay : float
        Ratio of successive weights, in (0, 1].
    deviation : float
        Sub-Gaussian parameter of the noise, in [0, 1/2].
    seed : int
        Problems with the same seed are the same problems.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    for name, count, least in (("arms", arms, 2), ("memory", memory, 1)):
        if not isinstance(count, (int, np.integer)) or count < least:
            raise ValueError(f"{name} must be a whole number >= {least}; got {count!r}.")
    if not (0 <= gap <= 0.1 and 0 < decay <= 1):
        raise ValueError(f"gap must lie in [0, .1] and decay in (0, 1]; got {gap} and {decay}.")
    share = np.linspace(0, 1, memory * -(-KNOTS // memory) + 1)
    draws = uniforms(stream_key(seed, "bandits.practice_curves", "losses"), 0, 0, 0, 2 * (arms - 1)).reshape(2, -1, 1)
    end, fresh = END + gap * (1 + draws[0]), 0.5 + 0.2 * draws[1]
    best = END + (FRESH - END) * (1 - share**POWER)
    return tallying(decay ** np.arange(memory), np.vstack([best, end + (fresh - end) * (1 - share)]), deviation)
