"""Additive game ``P(i > j) = 1/2 + u_i - u_j``: preferences with one scale and no cycles at all.

The regularised equilibrium is ``pi* ∝ mu exp(u / beta)`` for every number of actions, as in RLHF, because the
opponent shifts all win rates by the same amount; self-play does not rotate (``omega = 0``), and every log-ratio error
of a mirror method is multiplied by exactly ``1 - step * beta``. The Nash equilibrium plays the largest utilities.

Source: ``A p = u - <u, p>`` for ``A_ij = u_i - u_j``.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def additive(utilities: Sequence[float] = (0.5, 0.3, 0.1, 0.0)) -> PreferenceGame:
    """Build an additive game.

    Parameters
    ----------
    utilities : array_like, shape (..., n)
        One utility per action, within a range of at most 1/2; leading axes make a batch of games.

    Raises
    ------
    TypeError, ValueError
        If `utilities` does not hold finite numbers, or two of them differ by more than 1/2.
    """
    try:
        values = np.array(utilities, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"utilities must be a list of numbers, one per action; got {utilities!r}.") from None
    if values.ndim == 0 or values.shape[-1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"utilities must hold one finite number per action; got {utilities!r}.")
    spread = float((values.max(axis=-1) - values.min(axis=-1)).max())
    if spread > 0.5:
        raise ValueError(
            f"utilities must lie within a range of 1/2, so that 1/2 + u_i - u_j is a probability; it is {spread:g}. "
            f"Multiply them by {0.5 / spread:.3g}, or use bradley_terry."
        )
    return PreferenceGame(0.5 + values[..., :, None] - values[..., None, :])
