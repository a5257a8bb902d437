"""Dueling bandit of a CSV file of ratings, one ``user,item,rating`` a line.

``P(i beats j)`` is the share of users who rate ``i`` higher than ``j`` among those who rate one higher than the other, 1/2 if
there is none: equal ratings say nothing. With `arms` only the items with the most such comparisons are kept. Whatever the file
holds: no known answer.

Source: the recipe of the Sushi-16 matrix of Komiyama et al. (2015), for ratings instead of orders.
"""

import csv
from math import isfinite
from os import PathLike

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits._counts import from_wins, read_lines


def from_ratings(path: str | PathLike[str], arms: int = 0) -> Bandit:
    """Read a dueling bandit from a file of ratings.

    Parameters
    ----------
    path : str or path-like
        A UTF-8 text file of three columns, user, item and rating (higher is better); a first line whose rating is no number
        is a header.
    arms : int
        Keep this many items, those with the most comparisons; 0 keeps all.

    Raises
    ------
    ValueError
        In one sentence naming the line, if the file cannot be read so; or if `arms` does not fit.
    """
    ratings: dict[str, dict[str, float]] = {}
    items: dict[str, int] = {}
    for k, (number, line) in enumerate(read_lines(path)):
        cells = next(csv.reader([line]))
        user, item, text = (cell.strip() for cell in cells) if len(cells) == 3 else ("", "", "")
        value = _number(text)
        if k == 0 and item and value is None:
            continue
        if value is None or not item:
            raise ValueError(f"{path}, line {number}: {line!r} must be user,item,rating with a finite number as the rating.")
        if item in ratings.setdefault(user, {}):
            raise ValueError(f"{path}, line {number}: user {user!r} rates {item!r} a second time; keep one rating.")
        ratings[user][item] = value
        items.setdefault(item, len(items))
    wins = np.zeros((len(items), len(items)))
    for rated in ratings.values():
        index = np.array([items[item] for item in rated])
        values = np.array(list(rated.values()))
        wins[np.ix_(index, index)] += values[:, None] > values
    return from_wins(wins, list(items), arms, path)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None
