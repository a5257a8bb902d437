"""From counts of pairwise wins to a dueling bandit that remembers its matrix, for the files that read data."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from prefsim.bandit import Bandit
from prefsim.bandits.dueling import dueling

Floats = NDArray[np.float64]


def from_wins(wins: Floats, names: Sequence[str], arms: int, path: str | PathLike[str]) -> Bandit:
    """Build a dueling bandit from ``wins[i, j]``, how often ``i`` was preferred to ``j``.

    ``P[i, j] = wins[i, j] / (wins[i, j] + wins[j, i])``, 1/2 if never compared. With ``arms > 0`` only the arms with the
    most comparisons are kept, the first ones on ties, in their order.

    Raises
    ------
    ValueError
        If `arms` is 1, negative or more than there are, or fewer than two arms are left.
    """
    if not isinstance(arms, (int, np.integer)) or arms < 0 or arms == 1 or arms > len(wins):
        raise ValueError(f"arms must be 0 for all, or from 2 to the {len(wins)} items of {path}; got {arms!r}.")
    if len(wins) < 2:
        raise ValueError(f"{path} holds {len(wins)} items; a duel needs at least two.")
    played = wins + wins.T
    if arms:
        kept = np.sort(np.argsort(-played.sum(axis=1), kind="stable")[:arms])
        wins, played, names = wins[np.ix_(kept, kept)], played[np.ix_(kept, kept)], [names[k] for k in kept]
    preference = np.divide(wins, played, out=np.full_like(wins, 0.5), where=played > 0)
    return written_out(dueling(preference, names))


def written_out(bandit: Bandit) -> Bandit:
    """Give a dueling bandit a recipe with its matrix in full, since what a file holds may change under us."""
    names = {} if bandit.names is None else {"names": list(bandit.names)}
    bandit.recipe = {"family": "dueling", "preference": bandit.truth.preference[0].tolist(), **names}
    return bandit


def read_lines(path: str | PathLike[str]) -> list[tuple[int, str]]:
    """Non-empty lines of a text file with their numbers.

    Raises
    ------
    ValueError
        If the file is not there or is no text.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}; give the path of a text file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as text: {error}.") from None
