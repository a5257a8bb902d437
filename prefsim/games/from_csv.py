"""Game read from a CSV file of preference probabilities or win counts, with a header of names.

The header holds the names of the actions; rows may start with the name of theirs. Cell (row i, column j) is the
probability that i is preferred to j or, with ``counts=True``, the number of times ``W_ij`` i beat j, from which
``P_ij = W_ij / (W_ij + W_ji)`` and 1/2 for pairs never compared. Whatever the file holds: no known answer.
"""

import csv
from math import isfinite
from os import PathLike

import numpy as np

from prefsim.game import TOLERANCE, PreferenceGame


def from_csv(path: str | PathLike[str], counts: bool = False, beta: float = 0.0) -> PreferenceGame:
    """Read a preference game from a CSV file.

    Parameters
    ----------
    path : str or path-like
        A comma-separated UTF-8 text file.
    counts : bool
        Cells are win counts rather than probabilities.
    beta : float
        Temperature of the game, ``>= 0``.

    Raises
    ------
    ValueError
        In one sentence naming the row and column, if the file or a cell of it cannot be read as such a table.
    """
    names, cells = _table(path)
    matrix = np.empty((len(names), len(names)))
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            where = f"{path}: row {names[i]!r}, column {names[j]!r}"
            try:
                value = float(cell)
            except ValueError:
                problem = f"holds {cell!r}, which is not a number" if cell else "is empty"
                raise ValueError(f"{where} {problem}; every cell needs one (1/2 or 0 wins on the diagonal).") from None
            if not isfinite(value) or value < 0 or (value > 1 and not counts):
                needed = "win counts are finite and >= 0" if counts else "probabilities lie in [0, 1]"
                hint = "; for win counts give counts=True" if value > 1 and not counts else ""
                raise ValueError(f"{where} holds {cell}; {needed}{hint}.")
            matrix[i, j] = value
    if counts:
        played = matrix + matrix.T
        matrix = np.divide(matrix, played, out=np.full_like(matrix, 0.5), where=played > 0)
    excess = np.abs(matrix + matrix.T - 1)
    if excess.max() > TOLERANCE:
        i, j = (int(k) for k in np.unravel_index(excess.argmax(), excess.shape))
        raise ValueError(
            f"{path}: row {names[i]!r}, column {names[j]!r} and its mirror cell hold {matrix[i, j]:g} and "
            f"{matrix[j, i]:g}, but the two probabilities of a pair sum to 1; for win counts give counts=True."
        )
    return PreferenceGame(matrix, beta=beta, names=names)


def _table(path: str | PathLike[str]) -> tuple[list[str], list[list[str]]]:
    """Names of the actions and the text of the n x n cells."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file)]
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}; give the path of a CSV file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a CSV file: {error}.") from None
    lines = [line for line in lines if any(line)]
    if len(lines) < 2:
        raise ValueError(f"{path} needs a header of names and a row per action; it has {len(lines)} non-empty lines.")
    header, *rows = lines
    first = [row[0] for row in rows]
    if header[0] == "" or first in (header, header[1:]) or not any(_is_number(cell) for cell in first if cell):
        # A corner cell sits above the row names, whatever its text, unless the header is one shorter than the rows.
        names = header if first == header and len(rows[0]) == len(header) + 1 else header[1:]
        rows = [row[1:] for row in rows]
    else:
        names, first = header, header
    for j, name in enumerate(names):
        if not name:
            raise ValueError(f"{path}: column {j + 1} has no name in the header; name every action.")
        if name in names[:j]:
            raise ValueError(f"{path}: the header names {name!r} twice; give every action its own name.")
    if len(rows) != len(names):
        raise ValueError(
            f"{path} names {len(names)} actions in its header but has {len(rows)} rows; one row per action."
        )
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        if first[i] != name:
            raise ValueError(
                f"{path}: row {i + 1} is named {first[i]!r} but column {i + 1} is named {name!r}; use one order."
            )
        if len(row) != len(names):
            raise ValueError(f"{path}: row {name!r} has {len(row)} cells but the header names {len(names)} actions.")
    return names, rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
