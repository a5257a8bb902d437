"""Small dense linear algebra in scalar loops, for rules of bandits: no allocation, the same bits in every engine."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["cholesky", "dot", "invert", "multiply", "quadratic", "rank_one"]

Array = Any


def dot(x: Array, y: Array) -> float:
    """``sum_k x_k y_k`` of two vectors."""
    total = 0.0
    for k in range(len(x)):
        total += x[k] * y[k]
    return total


def multiply(matrix: Array, x: Array, out: Array) -> None:
    """Write ``matrix x`` into `out`, which must be another vector than `x`."""
    for i in range(len(matrix)):
        total = 0.0
        for k in range(len(x)):
            total += matrix[i, k] * x[k]
        out[i] = total


def quadratic(matrix: Array, x: Array) -> float:
    """``x^T matrix x``."""
    total = 0.0
    for i in range(len(x)):
        row = 0.0
        for k in range(len(x)):
            row += matrix[i, k] * x[k]
        total += row * x[i]
    return total


def rank_one(inverse: Array, x: Array, scratch: Array) -> float:
    """Turn ``V^-1`` into ``(V + x x^T)^-1`` in place (Sherman and Morrison 1950); return ``x^T V^-1 x`` of the old ``V``.

    ``det(V + x x^T) = (1 + x^T V^-1 x) det V``. `scratch` is a vector as long as `x`.
    """
    multiply(inverse, x, scratch)
    square = dot(x, scratch)
    for i in range(len(x)):
        for k in range(len(x)):
            inverse[i, k] -= scratch[i] * scratch[k] / (1.0 + square)
    return square


def invert(matrix: Array, out: Array) -> None:
    """Write the inverse of a symmetric positive definite matrix into `out`, by sweeping every pivot (Goodnight 1979)."""
    n = len(matrix)
    for i in range(n):
        for k in range(n):
            out[i, k] = matrix[i, k]
    for p in range(n):
        pivot = out[p, p]
        for k in range(n):
            out[p, k] /= pivot
        for i in range(n):
            if i != p:
                factor = out[i, p]
                for k in range(n):
                    out[i, k] -= factor * out[p, k]
                out[i, p] = -factor / pivot
        out[p, p] = 1.0 / pivot


def cholesky(matrix: Array, out: Array) -> None:
    """Write the lower factor ``L``, ``L L^T = matrix``, of a symmetric positive definite matrix into `out`."""
    n = len(matrix)
    for i in range(n):
        for k in range(n):
            out[i, k] = 0.0
        for k in range(i + 1):
            total = matrix[i, k]
            for m in range(k):
                total -= out[i, m] * out[k, m]
            out[i, k] = math.sqrt(total) if i == k else total / out[k, k]
