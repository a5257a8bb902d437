"""Linear programs in scalar loops, for rules of bandits that must solve one: no allocation, the same bits in every engine.

The simplex method of Dantzig (1947) on the condensed tableau: a pivot exchanges a basic and a non-basic variable, so slack
columns are never stored. ``pivoting`` solves matrix games so, many in a call and in fractions too; for other
programs, whoever is not inside a compiled rule should call HiGHS.
"""

from __future__ import annotations

from typing import Any

__all__ = ["maximise"]

Array = Any

INLINE = False
"""Functions are called, not put into each other."""

ROUNDING = 1e-11
"""Numbers up to this size count as 0: data are of the order 1."""

BLAND = 20
"""Pivots per column after which Bland's rule takes over, which is slower and cannot cycle but by rounding."""

MOST = 200
"""Pivots per column after which the search ends where it is, at a feasible point."""


def maximise(table: Array, basis: Array, cobasis: Array) -> bool:
    """Maximise ``c v`` subject to ``A v <= b`` and ``v >= 0``, for ``b >= 0``, in place.

    Parameters
    ----------
    table : ndarray, shape (rows + 1, columns + 1)
        ``A`` with ``b`` in the last column and ``c`` in the last row; 0 in the corner. At the end the corner holds minus the
        maximum, the last column the values of the basic variables.
    basis : ndarray of int, shape (rows,)
        Filled in: the variable each row stands for at the end. ``v_j`` has the number ``j``, the slack of row ``i`` the
        number ``columns + i``; variables that are not listed are 0.
    cobasis : ndarray of int, shape (columns,)
        Filled in: the variables of the columns.

    Returns
    -------
    bool
        Whether the maximum was found; False if the program is unbounded, or did not end within ``MOST`` pivots a column. The
        point in the table satisfies the constraints in any case.
    """
    rows, columns = len(basis), len(cobasis)
    for j in range(columns):
        cobasis[j] = j
    for i in range(rows):
        basis[i] = columns + i
    pivots = 0
    while pivots < MOST * columns:
        enter = -1
        for j in range(columns):
            if table[rows, j] > ROUNDING:
                if enter < 0:
                    enter = j
                elif pivots < BLAND * columns:
                    if table[rows, j] > table[rows, enter]:
                        enter = j
                elif cobasis[j] < cobasis[enter]:
                    enter = j
        if enter < 0:
            return True
        leave, least = -1, 0.0
        for i in range(rows):
            if table[i, enter] > ROUNDING:
                ratio = max(table[i, columns], 0.0) / table[i, enter]
                if leave < 0 or ratio < least or (ratio == least and basis[i] < basis[leave]):
                    leave, least = i, ratio
        if leave < 0:
            return False
        exchange(table, leave, enter)
        basis[leave], cobasis[enter] = cobasis[enter], basis[leave]
        pivots += 1
    return False


def exchange(table: Array, row: int, column: int) -> None:
    """Solve the equation of `row` for the variable of `column`, and put it into all others."""
    pivot = table[row, column]
    for j in range(table.shape[1]):
        table[row, j] /= pivot
    table[row, column] = 1.0 / pivot
    for i in range(table.shape[0]):
        factor = table[i, column]
        if i != row and factor != 0.0:
            for j in range(table.shape[1]):
                table[i, j] -= factor * table[row, j]
            table[i, column] = -factor / pivot
