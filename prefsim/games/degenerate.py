"""Rock-paper-scissors with duplicated actions: a game with a whole face of Nash equilibria.

With margins ``(a, b, c)`` as in ``rock_paper_scissors`` a policy is a Nash equilibrium iff the copies of rock, scissors
and paper together have probabilities ``(c, b, a) / (a + b + c)``, however they are split: compare gaps, not policies.
Regularisation chooses: copies share the probability of their kind in proportion to the reference, and the kinds have the
equilibrium of the game of three whose reference adds up the copies.

Source: copies have equal rows of ``A``, hence equal win rates.
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def degenerate(copies: Sequence[int] = (1, 2, 3), weights: Sequence[float] = (0.5, 0.5, 0.5)) -> PreferenceGame:
    """Build the game with duplicated actions.

    Parameters
    ----------
    copies : three ints
        Numbers of copies of rock, scissors and paper, each ``>= 1``.
    weights : (a, b, c)
        Margins over 1/2 of rock over scissors, paper over rock, scissors over paper; each in (0, 1/2].

    Raises
    ------
    TypeError, ValueError
        If `copies` is not three counts or `weights` is not three numbers in (0, 1/2].
    """
    try:
        margins = np.array(weights, dtype=np.float64)
        counts = np.array(copies)
    except (TypeError, ValueError):
        raise TypeError(f"weights must be three numbers and copies three counts; got {weights!r} and {copies!r}.") from None
    if counts.shape != (3,) or counts.dtype.kind not in "iu" or counts.min() < 1:
        raise ValueError(f"copies must be three whole numbers >= 1; got {copies!r}.")
    if margins.shape != (3,) or not ((margins > 0) & (margins <= 0.5)).all():
        raise ValueError(f"weights must be three margins (a, b, c) in (0, 1/2], so that 1/2 + a <= 1; got {weights!r}.")
    a, b, c = margins
    payoff = np.array([[0, a, -b], [-a, 0, c], [b, -c, 0]])
    kind = np.repeat(np.arange(3), counts)
    labels = [f"{('rock', 'scissors', 'paper')[k]} {1 + i - counts[:k].sum()}" for i, k in enumerate(kind)]
    return PreferenceGame(0.5 + payoff[np.ix_(kind, kind)], names=labels)
