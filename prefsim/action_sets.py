"""Playable actions of continuous action sets, for environments that take a finite list of them.

The optimum over a compact set of a convex index, such as a linear reward or an upper confidence bound, lies at an extreme
point: at a vertex of a polytope, on the sphere of a ball.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.game import as_floats

Floats = NDArray[np.float64]

MOST_SYSTEMS = 200_000
"""Square systems that an enumeration of vertices may solve."""


def vertices(constraints: ArrayLike, limits: ArrayLike) -> Floats:
    """Vertices of the polytope ``{u : constraints u <= limits}``, by solving every square system of active constraints.

    Parameters
    ----------
    constraints : array_like, shape (m, d)
        A row for each half-space.
    limits : array_like, shape (m,)
        Their right-hand sides.

    Returns
    -------
    ndarray, shape (vertices, d)
        Sorted, without repetition.

    Raises
    ------
    ValueError
        If shapes do not fit, the set is empty or unbounded, or there are too many systems to enumerate.
    """
    from scipy.optimize import linprog

    rows, right = as_floats(constraints, "constraints"), as_floats(limits, "limits")
    if rows.ndim != 2 or not rows.size or right.shape != rows.shape[:1] or not np.isfinite([rows.sum(), right.sum()]).all():
        raise ValueError(f"constraints must be finite, of shape (m, d), and limits (m,); got {rows.shape} and {right.shape}.")
    m, d = rows.shape
    for direction in (*np.eye(d), *-np.eye(d)):
        status = linprog(direction, rows, right, bounds=[(None, None)] * d).status
        if status in (2, 3):
            problem = "empty" if status == 2 else "unbounded"
            raise ValueError(f"the polytope is {problem}; its constraints must hold in a bounded, non-empty set.")
    if comb(m, d) > MOST_SYSTEMS:
        raise ValueError(f"{m} constraints in {d} dimensions are too many to enumerate; list the playable actions instead.")
    found: list[Any] = []
    scale = 1.0 + np.abs(right).max()
    for active in combinations(range(m), d):
        chosen = rows[list(active)]
        if np.linalg.matrix_rank(chosen) == d:
            point = np.linalg.solve(chosen, right[list(active)])
            if (rows @ point <= right + 1e-9 * scale).all() and not any(np.allclose(point, other) for other in found):
                found.append(point + 0.0)  # no negative zeros
    return np.array(sorted(found, key=tuple))


def sphere(points: int, dimension: int, radius: float = 1.0) -> Floats:
    """Evenly spread points on a sphere: the extreme points of a ball, up to the grid's resolution.

    Parameters
    ----------
    points : int
        How many, at least 2.
    dimension : int
        1 (then two points), 2 (equal angles) or 3 (a Fibonacci lattice, Gonzalez 2010).
    radius : float
        Above 0.

    Returns
    -------
    ndarray, shape (points, dimension)
    """
    if dimension not in (1, 2, 3) or points < 2 or not radius > 0 or (dimension == 1 and points != 2):
        raise ValueError(
            "sphere needs dimension 1, 2 or 3, points >= 2 (exactly 2 in dimension 1) and radius > 0; got "
            f"dimension {dimension}, points {points} and radius {radius}."
        )
    if dimension == 1:
        return radius * np.array([[1.0], [-1.0]])
    k = np.arange(points)
    if dimension == 2:
        angle = 2 * np.pi * k / points
        return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    height = 1 - (2 * k + 1) / points
    angle = np.pi * (3 - np.sqrt(5)) * k
    ring = np.sqrt(1 - height**2)
    return radius * np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)
