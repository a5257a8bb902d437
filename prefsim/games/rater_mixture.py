"""Preferences of a population: raters of several kinds, each with a ranking or with utilities of its own.

``P(i > j)`` is the weighted share of raters who prefer ``i`` to ``j``, a rater with utilities doing so with probability
``sigmoid(u_i - u_j)``. Every rater is transitive, the population need not be: the default is Condorcet's paradox of three
rankings, ``P = 2/3`` around a cycle, whose only Nash equilibrium is uniform. An action preferred to each other one by more
than half of the raters (a Condorcet winner) is the Nash equilibrium alone, one ranked first by all of them dominates. The
Nash equilibrium in general is the maximal lottery of social choice.

Source: Condorcet 1785; Fishburn 1984 (maximal lotteries).
"""

from collections.abc import Sequence

import numpy as np

from prefsim.game import PreferenceGame


def rater_mixture(
    rankings: Sequence[Sequence[int]] | None = None,
    weights: Sequence[float] | None = None,
    utilities: Sequence[Sequence[float]] | None = None,
) -> PreferenceGame:
    """Build the game of a population of raters.

    Parameters
    ----------
    rankings : sequence of sequences, optional
        Per kind of rater all actions 0 .. n - 1, the best first. Without them and `utilities`, Condorcet's three.
    weights : sequence of floats, optional
        Shares of the kinds up to a factor, ``>= 0``; equal when omitted.
    utilities : array_like, shape (kinds, n), optional
        Per kind of rater one utility per action, in units of log-odds.

    Raises
    ------
    TypeError, ValueError
        If both `rankings` and `utilities` are given, or one of the arguments is not of the kind above.
    """
    if rankings is not None and utilities is not None:
        raise ValueError("give rankings or utilities, not both; one table tells how all kinds of rater prefer.")
    if rankings is None and utilities is None:
        rankings = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    try:
        table = np.array(rankings if utilities is None else utilities, dtype=np.float64)
        shares = np.ones(len(table)) if weights is None else np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError("rankings, utilities and weights must be lists of numbers, all raters' of one length.") from None
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"rankings or utilities must have one row per kind of rater, of finite numbers; got {table.shape}.")
    if shares.shape != (len(table),) or not ((shares >= 0) & (shares < np.inf)).all() or shares.sum() == 0:
        raise ValueError(f"weights must be {len(table)} finite shares >= 0, one per kind of rater; got {weights!r}.")
    if utilities is None:
        if not (np.sort(table, axis=1) == np.arange(table.shape[1])).all():
            raise ValueError(f"rankings must each list all actions 0 .. {table.shape[1] - 1} once; got {rankings!r}.")
        place = np.argsort(table, axis=1)
        votes = np.sign(place[:, None, :] - place[:, :, None]) / 2
    else:
        votes = np.tanh((table[:, :, None] - table[:, None, :]) / 2) / 2
    return PreferenceGame(0.5 + np.einsum("k,kij->ij", shares / shares.sum(), votes))
