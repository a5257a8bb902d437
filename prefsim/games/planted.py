"""Game with a chosen regularised equilibrium: any payoff, any policy, and the reference that makes it the answer.

``pi*`` is the regularised equilibrium iff ``log pi* = log mu + A pi* / beta + const``, so the reference is
``mu ∝ pi* exp(-A pi* / beta)``. Exact for every number of actions; the main oracle of the tests.

Source: the fixed-point form of the regularised equilibrium (Munos et al., arXiv 2312.00886, Section 4).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from prefsim.game import TOLERANCE, PreferenceGame, as_log_policy


def planted(
    policy: ArrayLike = (0.5, 0.3, 0.2),
    payoff: Sequence[Sequence[float]] = ((0.0, 0.5, -0.5), (-0.5, 0.0, 0.5), (0.5, -0.5, 0.0)),
    beta: ArrayLike = 0.1,
) -> PreferenceGame:
    """Build the game whose regularised equilibrium at temperature `beta` is `policy`.

    Parameters
    ----------
    policy : array_like, shape (..., n)
        The equilibrium to plant, all probabilities positive.
    payoff : array_like, shape (..., n, n)
        Skew-symmetric ``A = P - 1/2`` with entries in [-1/2, 1/2].
    beta : float or array_like, shape (...)
        Temperature, ``> 0``. Another temperature afterwards (``game.replace``) has another equilibrium.

    Raises
    ------
    TypeError, ValueError
        If `payoff` is no such matrix, `policy` no such policy, or `beta` is not above 0.
    """
    try:
        matrix = np.array(payoff, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"payoff must be a square array of numbers: {error}.") from None
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or matrix.shape[-1] == 0:
        raise ValueError(f"payoff must be square, of shape (..., n, n) with n >= 1; got shape {matrix.shape}.")
    skew = np.isfinite(matrix).all() and np.abs(matrix + np.swapaxes(matrix, -1, -2)).max() <= TOLERANCE
    if not skew or np.abs(matrix).max() > 0.5:
        raise ValueError(
            "payoff must be skew-symmetric with entries in [-1/2, 1/2], the payoff A = P - 1/2 of a preference matrix; "
            "subtract 1/2 if you have P, or divide by 2 max |A|."
        )
    temperature = np.array(beta, dtype=np.float64)
    if not (np.isfinite(temperature).all() and (temperature > 0).all()):
        raise ValueError(
            f"beta must be a finite temperature > 0, as only a regularised equilibrium is planted; got {beta!r}."
        )
    log_policy = as_log_policy(policy, matrix.shape[-1], "policy", positive=True)
    # With the payoff as the game stores it, so that the planted policy is exact for that game.
    stored = PreferenceGame(0.5 + matrix).payoff
    gain = np.matmul(stored, np.exp(log_policy)[..., None])[..., 0]
    return PreferenceGame(0.5 + matrix, beta=temperature, log_reference=log_policy - gain / temperature[..., None])
