"""Bradley-Terry preferences: ``P(i > j) = sigmoid(scale (r_i - r_j))``, the model behind RLHF and DPO.

With one largest reward the Nash equilibrium plays it alone. The regularised equilibrium has no closed form; in
particular it is *not* the RLHF policy ``mu exp(r / beta)``, because it sees win rates rather than rewards.

Source: Bradley and Terry, Biometrika 39 (1952).
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def bradley_terry(rewards: Sequence[float] = (1.0, 0.5, 0.0, -0.5), scale: float = 1.0) -> PreferenceGame:
    """Build a Bradley-Terry game.

    Parameters
    ----------
    rewards : array_like, shape (..., n)
        One reward per action, in units of log-odds; leading axes make a batch of games.
    scale : float
        Factor on the rewards, ``> 0``.

    Raises
    ------
    TypeError, ValueError
        If `rewards` does not hold finite numbers or `scale` is not a finite number above 0.
    """
    try:
        values = np.array(rewards, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"rewards must be a list of numbers, one per action; got {rewards!r}.") from None
    if values.ndim == 0 or values.shape[-1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"rewards must hold one finite number per action; got {rewards!r}.")
    if not isinstance(scale, (int, float)) or not 0 < scale < np.inf:
        raise ValueError(f"scale must be a finite number above 0; got {scale!r}.")
    # sigmoid(x) = 1/2 + tanh(x/2)/2 neither overflows nor loses the antisymmetry.
    return PreferenceGame(0.5 + np.tanh(scale * (values[..., :, None] - values[..., None, :]) / 2) / 2)
