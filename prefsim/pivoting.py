"""The simplex method in scalar loops: equilibria of many matrix games in one compiled call, and programs that rules solve.

With ``B = A + c > 0`` the column player's policy is ``y / sum y`` for the optimum of ``max sum y``, ``B y <= 1``,
``y >= 0``, and the row player's comes from its dual (Dantzig 1951). The table is condensed: a pivot exchanges one row label
with one column label, so only ``(m + 1) (n + 1)`` numbers change. The entering variable is that of the steepest edge, by
norms that are exact at the start and then Devex estimates (Harris 1973); Bland's rule, which cannot cycle, takes over while
pivots are degenerate. The loops are plain Python without allocation: rules of bandits may call :func:`maximise`, and they
also run on fractions, where nothing is rounded. Whoever has a program to solve outside a compiled rule should call HiGHS.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim.engines.threads import parallel, threads

Floats = NDArray[np.float64]
Array = Any

__all__ = ["Vertices", "exact_vertices", "maximise", "vertices"]

INLINE = False
"""Functions are called, not put into each other: a rule that calls them would compile for minutes."""

ROUNDING = 1e-13
"""Costs and pivots up to this size, in a table of entries around 1, are taken for 0."""

WORTH_THREADS = 4_000_000
"""Games times ``m n (m + n)`` from which a batch is worth a thread pool: some milliseconds of pivoting."""


class Vertices(NamedTuple):
    """Solutions of a batch of games.

    Attributes
    ----------
    row, column : array, shapes (games, m) and (games, n)
        Policies of the two players, each a vertex of its player's set of optimal policies.
    margin : array, shape (games,)
        Least reduced cost outside the basis and least value in it: if it is above 0, the policies are the only optimal ones.
    """

    row: Floats
    column: Floats
    margin: Floats


def vertices(payoff: Floats) -> Vertices:
    """Solve games, shape (games, m, n), payoffs to the row player of size around 1; on all threads if they are many."""
    games, m, n = payoff.shape
    solve, payoff = _compiled(), np.ascontiguousarray(payoff)
    if games * m * n * (m + n) < WORTH_THREADS or min(games, threads()) == 1:
        return _solved(solve, payoff, float, ROUNDING)
    found = Vertices(np.empty((games, m)), np.empty((games, n)), np.empty(games))

    def work(first: int, last: int, halt: object) -> None:
        for whole, part in zip(found, _solved(solve, payoff[first:last], float, ROUNDING), strict=True):
            whole[first:last] = part

    parallel(work, games)
    return found


def exact_vertices(payoff: Floats) -> Vertices:
    """Solve games, shape (games, m, n), in fractions: only the policies are rounded."""
    return _solved(_solve_games, np.vectorize(Fraction, otypes=[object])(payoff), object, 0)


def _solved(solve: Callable[..., None], payoff: Array, kind: type, rounding: float) -> Vertices:
    """Call the loop with tables of a type, whose last row is the costs, and a spare row."""
    games, m, n = payoff.shape
    found = Vertices(np.empty((games, m)), np.empty((games, n)), np.empty(games))
    table, labels = np.zeros((m + 1, n + 1), dtype=kind), np.empty(m + n, np.int64)
    solve(payoff, table, labels[:m], labels[m:], np.empty(n + 1), np.zeros(n + 1, dtype=kind), rounding, *found)
    return found


@cache
def _compiled() -> Any:
    from prefsim.engines.compiler import compile_runner

    arguments = "payoff, table, rows, columns, square, spare, rounding, row, column, margin"
    names = {f.__name__: f for f in (_fill, _slacks, _entering, _leaving, _exchange, _simplex, _policies)}
    return compile_runner(_solve_games, "", names, f"def run({arguments}):\n    _solve_games({arguments})\n")


def _solve_games(payoff, table, rows, columns, square, spare, rounding, row, column, margin):  # type: ignore[no-untyped-def]
    """Solve every game and write its policies."""
    for k in range(len(payoff)):
        shift = _fill(payoff[k], table, rows, columns, square)
        _simplex(table, rows, columns, square, spare, rounding)
        margin[k] = _policies(payoff[k], shift, table, rows, columns, spare, row[k], column[k])


def _fill(payoff: Array, table: Array, rows: Array, columns: Array, square: Array) -> Any:
    """Write the table of the slack basis; label ``j < n`` is ``y_j`` and ``n + i`` the slack of row ``i``. Return ``c``."""
    m, n = payoff.shape
    least = payoff[0, 0]
    for i in range(m):
        for j in range(n):
            least = min(least, payoff[i, j])
    shift = 1 - least
    for j in range(n + 1):
        table[m, j] = 1 if j < n else 0
    for i in range(m):
        table[i, n] = 1
        for j in range(n):
            table[i, j] = payoff[i, j] + shift
    _slacks(table, rows, columns, square)
    return shift


def maximise(table: Array, rows: Array, columns: Array, square: Array, spare: Array, rounding: float) -> bool:
    """Maximise ``c v`` subject to ``A v <= b`` and ``v >= 0``, for ``b >= 0``, in place.

    Parameters
    ----------
    table : ndarray, shape (m + 1, n + 1)
        ``A`` with ``b`` in the last column and ``c`` in the last row; 0 in the corner. At the end the corner holds minus the
        maximum, the last column the values of the basic variables. The point satisfies the constraints in any case.
    rows : ndarray of int, shape (m,)
        Filled in: the variable each row stands for at the end, ``j`` for ``v_j`` and ``n + i`` for the slack of row ``i``;
        variables that are not listed are 0.
    columns : ndarray of int, shape (n,)
        Filled in: the variables of the columns.
    square, spare : ndarray, shape (n + 1,)
        Room to work in.
    rounding : float
        Costs and pivots up to this size are taken for 0.

    Returns
    -------
    bool
        Whether the maximum was found; False if the program is unbounded, or rounding let no pivot lead there.
    """
    _slacks(table, rows, columns, square)
    _simplex(table, rows, columns, square, spare, rounding)
    return _entering(table, columns, square, rounding, False) < 0


def _slacks(table: Array, rows: Array, columns: Array, square: Array) -> None:
    """Label the basis of slacks, and take the squared lengths of the edges that leave it."""
    m, n = len(rows), len(columns)
    for i in range(m):
        rows[i] = n + i
    for j in range(n):
        columns[j] = j
        square[j] = 1.0
        for i in range(m):
            square[j] += float(table[i, j]) ** 2
    square[n] = 1.0


def _simplex(table: Array, rows: Array, columns: Array, square: Array, spare: Array, rounding: float) -> None:
    """Pivot until no cost is positive, or rounding leaves no row that limits the entering variable."""
    m, n = len(rows), len(columns)
    stalled = 0
    for _ in range(100 * (m + n)):
        bland = stalled > m + n
        enter = _entering(table, columns, square, rounding, bland)
        leave = _leaving(table, rows, enter, rounding, bland) if enter >= 0 else -1
        if leave < 0:
            break
        stalled = stalled + 1 if table[leave, n] <= rounding else 0
        _exchange(table, leave, enter, square, spare)
        label = rows[leave]
        rows[leave] = columns[enter]
        columns[enter] = label


def _entering(table: Array, columns: Array, square: Array, rounding: float, bland: bool) -> int:
    """Column whose edge rises most steeply, or under Bland's rule the first label that rises; -1 at the optimum."""
    m, enter, best = len(table) - 1, -1, 0.0
    for j in range(len(columns)):
        if table[m, j] > rounding:
            slope = float(-columns[j]) if bland else float(table[m, j]) * float(table[m, j]) / square[j]
            if enter < 0 or slope > best:
                enter, best = j, slope
    return enter


def _leaving(table: Array, rows: Array, enter: int, rounding: float, bland: bool) -> int:
    """Row that limits the entering variable; among ties that of the largest pivot, or of the first label (Bland)."""
    n = table.shape[1] - 1
    leave, least, best = -1, np.inf, 0.0
    for i in range(len(rows)):
        entry = table[i, enter]
        if entry > rounding:
            ratio = table[i, n] / entry if table[i, n] > 0 else 0
            size = float(-rows[i]) if bland else float(entry)
            if leave < 0 or ratio < least - rounding or (ratio <= least + rounding and size > best):
                leave, least, best = i, min(ratio, least), size
    return leave


def _exchange(table: Array, leave: int, enter: int, square: Array, pivot: Array) -> None:
    """Pivot; the scaled row is kept apart so that the compiler sees that no write reaches it."""
    m, width = len(table) - 1, table.shape[1]
    scale = 1 / table[leave, enter]
    weight = square[enter]
    for j in range(width):
        pivot[j] = table[leave, j] * scale
        square[j] = max(square[j], weight * float(pivot[j]) * float(pivot[j]))  # powers of Python's floats may overflow
    square[enter] = max(weight * float(scale) * float(scale), 1.0)
    pivot[enter] = scale
    for j in range(width):
        table[leave, j] = pivot[j]
    for i in range(m + 1):
        if i != leave:
            factor = table[i, enter]
            table[i, enter] = 0
            for j in range(width):
                table[i, j] -= factor * pivot[j]


def _policies(
    payoff: Array, shift: Any, table: Array, rows: Array, columns: Array, spare: Array, row: Array, column: Array
) -> float:
    """Write the policies of a basis, refined with the inverse that the table holds; return the margin.

    ``B_IJ y_J = 1`` and ``B_IJ^T x_I = 1`` on the rows ``I`` without slack and the columns ``J`` in the basis, and the
    table's entry at labels ``j`` and ``n + i`` is ``(B_IJ^-1)_ji``. Residuals are taken with `payoff` itself: adding the
    shift rounds small entries.
    """
    m, n = payoff.shape
    margin = np.inf
    row[:] = 0
    column[:] = 0
    for r in range(m):
        margin = min(margin, float(table[r, n]))
        if rows[r] < n:
            column[rows[r]] = float(table[r, n])
    for c in range(n):
        margin = min(margin, float(-table[m, c]))
        if columns[c] >= n:
            row[columns[c] - n] = float(-table[m, c])
    for _ in range(2):
        total = 0.0
        for j in range(n):
            total += column[j]
        for c in range(n):
            spare[c] = 0.0
            if columns[c] >= n:
                won = 0.0
                for j in range(n):
                    won += float(payoff[columns[c] - n, j]) * column[j]
                spare[c] = 1.0 - float(shift) * total - won
        for r in range(m):
            if rows[r] < n:
                for c in range(n):
                    column[rows[r]] += float(table[r, c]) * spare[c]
        total = 0.0
        for i in range(m):
            total += row[i]
        for c in range(n):
            spare[c] = 0.0
        for r in range(m):
            if rows[r] < n:
                lost = 0.0
                for i in range(m):
                    lost += float(payoff[i, rows[r]]) * row[i]
                error = 1.0 - float(shift) * total - lost
                for c in range(n):
                    spare[c] += float(table[r, c]) * error
        for c in range(n):
            if columns[c] >= n:
                row[columns[c] - n] += spare[c]
    for policy in (row, column):
        total = 0.0
        for k in range(len(policy)):
            policy[k] = max(policy[k], 0.0)
            total += policy[k]
        for k in range(len(policy)):
            policy[k] /= total
    return margin
