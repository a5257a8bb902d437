"""The set of equilibria of a degenerate game, and the choice of one: analytic centre, largest entropy, a vertex.

Around an equilibrium ``z`` that plays every action any of them plays and loses with all others, the set is
``{z + Z u >= 0, s + S u >= 0}``: ``Z`` spans the null space of the equations of the support, ``S = E V - K Z`` are the
changes of the slacks ``s = E v - K z`` that go with it. Coordinates ``u`` have as many entries as the set has dimensions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from prefsim.interior_point import SAME, TO_BOUNDARY, Interior, longest, support_equations

Floats = NDArray[np.float64]

STEPS = 200
"""Most Newton steps towards a centre."""


def select(skew: Floats, blocks: Floats, found: Interior, selection: str, log_reference: Floats) -> Floats:
    """The equilibrium of that selection, shape (n,), from one inside the set."""
    directions, support = _directions(skew, blocks, found), found.support
    slack = np.where(support, 1.0, blocks @ found.value - skew @ found.policy)
    # Everything that must stay positive, in one vector, and how it moves with u.
    level = np.where(support, found.policy, slack)
    if directions.shape[1]:
        if selection == "vertex":
            level = _vertex(level, directions)
        else:
            level = _analytic_center(level, directions)
            if selection == "max_entropy":
                level = _max_entropy(level, directions, support, log_reference)
    policy = np.where(support, level, 0.0)
    return policy / (blocks @ (blocks.T @ policy))


def _directions(skew: Floats, blocks: Floats, found: Interior) -> Floats:
    """Changes of ``(z on the support, s outside)`` along the set, shape (n, dimensions)."""
    support, inside = found.support, int(found.support.sum())
    basis, triangle, _ = qr(support_equations(skew, blocks, support).T, pivoting=True)
    sizes = np.abs(triangle.diagonal())
    null = basis[:, int((sizes > SAME * sizes[0]).sum()) :]
    directions = np.empty((len(skew), null.shape[1]))
    directions[support] = null[:inside]
    directions[~support] = blocks[~support] @ null[inside:] - skew[np.ix_(~support, support)] @ null[:inside]
    return directions


def _newton_change(directions: Floats, weight: Floats, slope: Floats) -> Floats:
    """Newton change ``D u`` of a sum of functions of the levels, given their second and first derivatives.

    ``(D^T W D) u = -D^T g`` as a least-squares problem, largest rows first: near the boundary weights differ so much that
    the matrix of the normal equations would not be positive in doubles.
    """
    root = np.sqrt(weight)
    order = np.argsort(-root * np.abs(directions).max(axis=1))
    basis, triangle = np.linalg.qr((root[:, None] * directions)[order])
    return directions @ solve_triangular(triangle, -(basis.T @ (slope / root)[order]))


def _analytic_center(level: Floats, directions: Floats) -> Floats:
    """Maximise ``sum log level`` by Newton's method with the step that self-concordance makes safe."""
    smallest = np.inf
    for _ in range(STEPS):
        change = _newton_change(directions, level**-2, -1 / level)
        decrement = float(np.linalg.norm(change / level))
        if decrement < 1e-8 and decrement >= smallest / 2:
            break
        smallest = min(smallest, decrement)
        level = level + change / (1 + (decrement if decrement > 0.25 else 0.0))
    return level


def _max_entropy(level: Floats, directions: Floats, support: NDArray[np.bool_], log_reference: Floats) -> Floats:
    """Minimise ``sum z log (z / mu)`` over the set: Newton's method with a primal-dual barrier on the slacks."""
    slacks = ~support
    price = 1 / level[slacks]
    barrier = 1.0
    for _ in range(STEPS):
        z, s = level[support], level[slacks]
        slope, weight = np.empty_like(level), np.empty_like(level)
        slope[support], weight[support] = np.log(z) - log_reference[support], 1 / z
        slope[slacks], weight[slacks] = -barrier / s, price / s
        change = _newton_change(directions, weight, slope)
        price_change = (barrier - price * change[slacks]) / s - price
        level = level + min(1.0, TO_BOUNDARY * longest(level, change)) * change
        price = price + min(1.0, TO_BOUNDARY * longest(price, price_change)) * price_change
        moved = float(np.abs(change[support] / z).max())
        if moved < 1e-13:
            break
        if moved < 0.5:
            barrier *= 0.1
    return level


def _vertex(level: Floats, directions: Floats) -> Floats:
    """Walk to the boundary, give up the direction that leaves it, and so on until none is left."""
    for _ in range(directions.shape[1]):
        ways = (directions[:, 0], -directions[:, 0])
        lengths = [longest(level, way) for way in ways]
        nearest = int(np.argmin(lengths))
        way, length = ways[nearest], lengths[nearest]
        hit = int((-way / np.where(level > 0, level, np.inf)).argmax())
        level = np.maximum(level + length * way, 0)
        row = directions[hit]
        leaving = int(np.abs(row).argmax())
        directions = directions - np.outer(directions[:, leaving], row / row[leaving])
        directions = np.delete(directions, leaving, axis=1)
        level[hit], directions[hit] = 0.0, 0.0
    return level
