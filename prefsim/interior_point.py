"""Equilibria of skew-symmetric games by a primal-dual interior point, one LU factorisation a step.

The optimality conditions of a game with skew payoff ``K`` are ``s = E v - K z``, ``z, s >= 0``, ``E^T z = 1`` and
``z_i s_i = 0``. ``E`` marks blocks of actions that are policies of their own: one block for a symmetric game, two for
``K = [[0, A], [-A^T, 0]]``, any zero-sum game. On the central path ``z_i s_i = mu``. As ``z^T K z = 0``, the sum of the
multipliers ``v`` is ``z^T s``, the duality gap; and as every ``z`` has its ``s``, the method is never infeasible. A Newton
step needs one factorisation of ``diag(s / z) - K``, whose symmetric part is positive, for predictor and corrector
(Mehrotra 1992).

It ends before rounding does: once the actions with ``z_i > s_i`` stay the same, the equations of that support are solved
(Mehrotra and Ye 1993), and if then ``z`` is positive on it and ``s`` outside, the support is the largest of all equilibria
(Goldman and Tucker 1956).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, lstsq

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEPS = 100
"""Most steps; some ten to thirty are needed."""
TO_BOUNDARY = 0.995
"""Share of the way to the boundary that a step goes."""
AGAIN = 1e-2
"""Share of its gap at the last attempt below which a support that was no equilibrium's is tried again."""
SINGULAR = 1e-13
"""Reciprocal condition number from which the equations of a support count as having many solutions."""
SAME = 1e-10
"""Singular values, relative to the largest, that count as 0 among equations with many solutions."""
CLEAR = 1e-13
"""Probabilities and losses above this are told from 0, residuals up to it are not."""
REFINEMENTS = 2
"""Solutions of the equations of a support, each for the residual that the one before left."""


class Interior(NamedTuple):
    """What the interior point found.

    Attributes
    ----------
    policy : array, shape (n,)
        ``z``, a policy in each block.
    value : array, shape (blocks,)
        The multipliers ``v``.
    support : array of bool, shape (n,)
        Actions that some equilibrium plays, if `strict`; else a guess.
    strict : bool
        Whether `policy` plays all of `support` and loses with everything else.
    unique : bool
        Whether `policy` is the only equilibrium.
    """

    policy: Floats
    value: Floats
    support: Mask
    strict: bool
    unique: bool


class Newton(NamedTuple):
    """The factors of ``diag(s / z) - K`` and what it takes to solve for directions with them."""

    factors: Floats
    pivots: NDArray[np.int32]
    blocks: Floats
    inverse_blocks: Floats
    z: Floats
    s: Floats

    def towards(self, target: Floats) -> tuple[Floats, Floats, Floats]:
        """Changes of ``z``, ``s`` and ``v`` that lead to ``z s = target`` to first order."""
        free = lapack.dgetrs(self.factors, self.pivots, target / self.z - self.s)[0]
        dv = np.linalg.solve(self.blocks.T @ self.inverse_blocks, self.blocks.T @ free)
        dz = free - self.inverse_blocks @ dv
        return dz, (target - self.s * dz) / self.z - self.s, dv


def interior_point(skew: Floats, blocks: Floats) -> Interior:
    """Solve the game with payoff `skew`, entries of size around 1, and indicators `blocks`, shape (n, blocks)."""
    n = len(skew)
    z = (blocks / blocks.sum(axis=0)).sum(axis=1)
    gain = skew @ z
    top = np.array([gain[block > 0].max() for block in blocks.T])
    value = top + np.ptp(gain) + 1e-3
    s = blocks @ value - gain
    support = np.zeros(n, dtype=bool)
    tried, tried_at = support, np.inf
    for _ in range(STEPS):
        total = float(value.sum())
        previous, support = support, z > s
        if (support == previous).all() and ((support != tried).any() or total < AGAIN * tried_at):
            ended = _ended(skew, blocks, z, value, support)
            if ended is not None:
                return ended
            tried, tried_at = support, total
        if not total > 1e-15:
            break
        matrix = skew.copy()  # read in columns it is -K, which is what LAPACK factorises in place
        matrix[np.diag_indices(n)] += s / z
        factors, pivots, failure = lapack.dgetrf(matrix.T, overwrite_a=True)
        if failure:
            break
        inverse_blocks = lapack.dgetrs(factors, pivots, blocks)[0]
        newton = Newton(factors, pivots, blocks, inverse_blocks, z, s)
        dz, ds, _ = newton.towards(np.zeros(n))
        length = min(longest(z, dz), longest(s, ds), 1.0)
        mean = total / n
        after = float((z + length * dz) @ (s + length * ds)) / n
        dz, ds, dv = newton.towards(mean * (after / mean) ** 3 - dz * ds)
        length = min(TO_BOUNDARY * min(longest(z, dz), longest(s, ds)), 1.0)
        z = z + length * dz
        z /= blocks @ (blocks.T @ z)
        value = value + length * dv
        slack = blocks @ value - skew @ z
        if not (slack > 0).all():
            break
        s = slack
    return Interior(z, value, support, False, False)


def longest(z: Floats, dz: Floats) -> float:
    """How far ``z + t dz`` stays positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steepest = float(np.max(-dz / z, initial=0.0, where=z > 0))
    return 1 / steepest if steepest > 0 else np.inf


def support_equations(skew: Floats, blocks: Floats, support: Mask) -> Floats:
    """Matrix of ``K z = E v`` and ``E^T z = 1`` in the unknowns ``(z, v)``, on the actions of `support`."""
    members = blocks[support]
    corner = np.zeros((blocks.shape[1], blocks.shape[1]))
    return np.block([[skew[np.ix_(support, support)], -members], [members.T, corner]])


def _ended(skew: Floats, blocks: Floats, z: Floats, value: Floats, support: Mask) -> Interior | None:
    """Solve the equations of `support` next to `z`; None if that is no equilibrium with exactly this support."""
    if not blocks[support].any(axis=0).all():
        return None
    matrix = support_equations(skew, blocks, support)
    inside = int(support.sum())
    factors, pivots, failure = lapack.dgetrf(matrix)
    norm = float(np.abs(matrix).sum(axis=0).max())
    unique = not failure and float(lapack.dgecon(factors, norm)[0]) > SINGULAR
    solution = np.append(z[support], value)
    for _ in range(REFINEMENTS):
        residual = np.append(np.zeros(inside), np.ones(len(value))) - matrix @ solution
        if unique:
            solution += lapack.dgetrs(factors, pivots, residual)[0]
        else:
            solution += lstsq(matrix, residual, SAME, lapack_driver="gelsy")[0]
    policy = np.zeros(len(z))
    policy[support] = solution[:inside]
    slack = blocks @ solution[inside:] - skew @ policy
    if (policy[support] < CLEAR).any() or (slack[~support] < CLEAR).any() or (np.abs(slack[support]) > CLEAR).any():
        return None
    return Interior(policy, solution[inside:], support, True, unique)
