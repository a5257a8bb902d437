"""Nash equilibria of skew-symmetric matrix games, one at a time: a linear program, then polished to rounding."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_EXACT = 30
"""Number of actions up to which a matrix game is solved in fractions when floats fail."""


def nash(payoff: Floats, tolerance: float) -> tuple[Floats, str]:
    """Log-policy and method for one game without regularisation: the first solver good enough, else the best."""
    n = len(payoff)
    scale = float(np.abs(payoff).max())
    if scale == 0:
        return np.full(n, -np.log(n)), "linear program"
    unit = payoff / scale
    # HiGHS drops entries below 1e-9 and accepts violations of 1e-7; ours does neither, and takes over where that
    # chose a wrong support. Fractions are for margins that differ by more orders of magnitude than doubles resolve.
    solvers: dict[str, Callable[[Floats], Floats]] = {"linear program": _linear_program, "simplex": _simplex}
    if n <= LARGEST_EXACT:
        solvers["exact simplex"] = lambda matrix: _simplex(_fractions(matrix))
    best, best_gap, best_method = np.full(n, 1 / n), np.inf, "linear program"
    for method, solve in solvers.items():
        policy = _polish(unit, solve(unit))
        gap = 2 * (payoff @ policy).max()
        if gap < best_gap:
            best, best_gap, best_method = policy, gap, method
        if best_gap <= tolerance:
            break
    with np.errstate(divide="ignore"):
        return np.log(best), best_method


def _linear_program(payoff: Floats) -> Floats:
    """Minimise ``t`` subject to ``A p <= t`` over the simplex, by HiGHS; NaN where it reports failure."""
    from scipy.optimize import linprog

    n = len(payoff)
    solution = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.column_stack([payoff, -np.ones(n)]),
        b_ub=np.zeros(n),
        A_eq=np.append(np.ones(n), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)],
        method="highs",
    )
    return solution.x[:n] if solution.status == 0 else np.full(n, np.nan)


_fractions = np.vectorize(Fraction, otypes=[object])


def _simplex(payoff: NDArray[Any]) -> Floats:
    """Maximise ``sum y`` subject to ``(1 + A / 2) y <= 1``, ``y >= 0`` by the dense simplex method; ``p = y / sum y``.

    The matrix is positive, so the slack basis is feasible and the optimum bounded; it is 1 because the value of a
    skew game is 0, and then ``A p <= 0``. Largest coefficient first, Bland's rule (which cannot cycle) after that.
    Entries are floats or fractions.
    """
    n = len(payoff)
    one: Any = payoff.dtype.type(1) if payoff.dtype != object else Fraction(1)
    rounding = 1e-14 if payoff.dtype != object else 0
    table = np.column_stack([one + payoff / 2, one * np.eye(n, dtype=int), np.full(n, one)])
    cost = np.concatenate([np.full(n, one), np.full(n + 1, 0 * one)])
    basis = np.arange(n, 2 * n)
    for pivot in range(100 * n):
        candidates = np.flatnonzero(cost[:-1] > rounding)
        if not len(candidates):
            break
        enter = candidates[cost[candidates].argmax()] if pivot < 10 * n else candidates[0]
        rows = np.flatnonzero(table[:, enter] > rounding)
        if not len(rows):
            break
        ratios = np.maximum(table[rows, -1], 0) / table[rows, enter]
        ties = rows[ratios <= ratios.min() + rounding]
        leave = ties[basis[ties].argmin()]
        table[leave] /= table[leave, enter]
        others = np.arange(n) != leave
        table[others] -= np.outer(table[others, enter], table[leave])
        cost -= cost[enter] * table[leave]
        basis[leave] = enter
    weights = np.zeros(2 * n)
    weights[basis] = np.maximum(table[:, -1].astype(np.float64), 0)
    return weights[:n] / weights[:n].sum()


def _polish(payoff: Floats, policy: Floats) -> Floats:
    """Solve ``A p = 0``, ``sum p = 1`` on the support to rounding, starting from a policy that nearly does.

    Every supported action of an equilibrium has ``(A p)_y = 0``. What belongs to the support is tried at several
    thresholds; the policy with the smallest gap is returned, the given one among them.
    """
    if not np.isfinite(policy).all():
        return np.full(len(policy), 1 / len(policy))
    best = np.maximum(policy, 0) / np.maximum(policy, 0).sum()
    for threshold in (0.0, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5):
        trial = np.where(policy > threshold, policy, 0.0)
        trial /= trial.sum()
        support = np.flatnonzero(trial)
        system = np.vstack([payoff[np.ix_(support, support)], np.ones(len(support))])
        for _ in range(3):
            error = np.append(-(payoff @ trial)[support], 1 - trial.sum())
            trial[support] += np.linalg.lstsq(system, error, rcond=None)[0]
            trial = np.maximum(trial, 0)
            trial /= trial.sum()
            if (payoff @ trial).max() < (payoff @ best).max():
                best = trial.copy()
        if (payoff @ best).max() <= 1e-15:
            break
    return best
