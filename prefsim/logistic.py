"""Logistic regression in scalar loops, for rules of dueling bandits: no allocation, the same bits in every engine."""

from __future__ import annotations

import math
from typing import Any

from prefsim.vectors import cholesky, dot, multiply, solve

__all__ = ["logistic_fit", "logistic_loss", "sigmoid"]

Array = Any

STEPS = 100
"""Newton steps at most; a fit takes three to ten."""
CLOSE = 1e-9
"""A step this short (largest entry) is the last: convergence is quadratic, so what is left is rounding."""


def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))``, without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    small = math.exp(x)
    return small / (1.0 + small)


def logistic_loss(rows: Array, won: Array, count: int, ridge: float, theta: Array) -> float:
    """``sum_s ln(1 + exp(m_s)) - won_s m_s + ridge / 2 ||theta||^2`` with ``m_s = <rows_s, theta>``, over `count` rows."""
    total = 0.5 * ridge * dot(theta, theta)
    for s in range(count):
        margin = dot(rows[s], theta)
        total += math.log1p(math.exp(-abs(margin))) + max(margin, 0.0) - won[s] * margin
    return total


def logistic_fit(
    rows: Array,
    won: Array,
    count: int,
    ridge: float,
    norm: float,
    length: float,
    theta: Array,
    hessian: Array,
    factor: Array,
    work: Array,
) -> None:
    """Move `theta` to the minimiser of :func:`logistic_loss` over the ball ``||theta|| <= norm``, by Newton's method.

    Every step minimises the quadratic model of the loss over the ball, so that steps stay inside, and is halved until the
    loss falls by Armijo's rule. A full step needs no such check where no margin moves by more than 1: along it the second
    derivative grows at most like ``exp`` of the margin's move (Bach 2010, Proposition 1), which bounds the loss below its
    start. A step costs O(count dimension^2).

    Parameters
    ----------
    rows, won : arrays, shapes (at least count, dimension) and (at least count,)
        Regressors and outcomes in [0, 1].
    ridge : float
        Strength of the penalty, above 0.
    norm : float
        Radius of the ball.
    length : float
        Bound on the rows' norms.
    theta : array, shape (dimension,)
        Where to start, inside the ball; the result.
    hessian, factor, work : arrays, shapes (dimension, dimension) twice and (4, dimension)
        Scratch.
    """
    n = len(theta)
    gradient, target, arrival, spare = work[0], work[1], work[2], work[3]
    for _ in range(STEPS):
        loss = 0.5 * ridge * dot(theta, theta)
        for i in range(n):
            gradient[i] = ridge * theta[i]
            for k in range(n):
                hessian[i, k] = ridge if i == k else 0.0
        for s in range(count):
            row = rows[s]
            margin = dot(row, theta)
            small = math.exp(-abs(margin))
            chance = 1.0 / (1.0 + small) if margin >= 0.0 else small / (1.0 + small)
            weight = small / ((1.0 + small) * (1.0 + small))
            loss += math.log1p(small) + max(margin, 0.0) - won[s] * margin
            for i in range(n):
                gradient[i] += (chance - won[s]) * row[i]
                part = weight * row[i]
                for k in range(i + 1):
                    hessian[i, k] += part * row[k]
        for i in range(n):
            for k in range(i):
                hessian[k, i] = hessian[i, k]
        multiply(hessian, theta, target)
        for i in range(n):
            target[i] -= gradient[i]
        nearest_in_ball(hessian, target, norm, factor, arrival, spare)
        largest, slope, square = 0.0, 0.0, 0.0
        for i in range(n):
            move = arrival[i] - theta[i]
            largest = max(largest, abs(move))
            slope += gradient[i] * move
            square += move * move
        share = 1.0
        if length * length * square > 1.0:
            while share > CLOSE:
                for i in range(n):
                    spare[i] = theta[i] + share * (arrival[i] - theta[i])
                if logistic_loss(rows, won, count, ridge, spare) <= loss + 1e-4 * share * slope:
                    break
                share *= 0.5
        for i in range(n):
            theta[i] += share * (arrival[i] - theta[i])
        if largest <= CLOSE:
            return


def nearest_in_ball(matrix: Array, target: Array, norm: float, factor: Array, out: Array, spare: Array) -> None:
    """Write into `out` the minimiser of ``x^T matrix x / 2 - <target, x>`` over ``||x|| <= norm``.

    It is ``(matrix + mu I)^-1 target`` with the least ``mu >= 0`` that keeps it in the ball, found by Newton's method on
    ``1 / ||x(mu)||`` (More and Sorensen 1983). `matrix` is spoilt.
    """
    n = len(target)
    for _ in range(STEPS):
        cholesky(matrix, factor)
        solve(factor, target, False, spare)
        solve(factor, spare, True, out)
        size = math.sqrt(dot(out, out))
        if size <= norm * (1.0 + 1e-12):
            return
        solve(factor, out, False, spare)
        raised = (size - norm) / norm * (size * size) / dot(spare, spare)
        for i in range(n):
            matrix[i, i] += raised
