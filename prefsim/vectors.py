"""Small dense linear algebra in scalar loops, for rules of bandits: no allocation, the same bits in every engine."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["add_outer", "cholesky", "copy_changed", "dot", "factor_add", "invert", "multiply", "quadratic", "rank_one", "solve"]

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


def add_outer(matrix: Array, x: Array, weight: float) -> None:
    """Add ``weight x x^T`` to `matrix` in place."""
    for i in range(len(x)):
        part = weight * x[i]
        for k in range(len(x)):
            matrix[i, k] += part * x[k]


def copy_changed(source: Array, target: Array) -> bool:
    """Copy a vector; return whether it differed from what `target` held."""
    differ = 0
    for k in range(len(source)):
        differ += target[k] != source[k]  # no branch: this loop vectorises
    if differ > 0:
        for k in range(len(source)):
            target[k] = source[k]
    return differ > 0


def rank_one(inverse: Array, x: Array, scratch: Array) -> float:
    """Turn ``V^-1`` into ``(V + x x^T)^-1`` in place (Sherman and Morrison 1950); return ``x^T V^-1 x`` of the old ``V``.

    ``det(V + x x^T) = (1 + x^T V^-1 x) det V``. `scratch` is a vector as long as `x`.
    """
    multiply(inverse, x, scratch)
    square = dot(x, scratch)
    shrink = 1.0 / (1.0 + square)
    for i in range(len(x)):
        part = shrink * scratch[i]
        for k in range(len(x)):
            inverse[i, k] -= part * scratch[k]
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


def factor_add(factor: Array, x: Array, scratch: Array, target: Array, value: float) -> None:
    """Turn the lower factor ``L`` of ``V`` into that of ``V + x x^T``, and ``target = L^-1 b`` into that of ``b + value x``.

    In place, by plane rotations of the least-squares problem whose normal equations these are (Gill, Golub, Murray and
    Saunders 1974); they are orthogonal, so rounding does not add up. `scratch` is a vector as long as `x`.
    """
    n = len(x)
    for k in range(n):
        scratch[k] = x[k]
    for p in range(n):
        pivot = math.sqrt(factor[p, p] * factor[p, p] + scratch[p] * scratch[p])
        cosine = factor[p, p] / pivot
        sine = scratch[p] / pivot
        factor[p, p] = pivot
        for i in range(p + 1, n):
            below = factor[i, p]
            factor[i, p] = cosine * below + sine * scratch[i]
            scratch[i] = cosine * scratch[i] - sine * below
        before = target[p]
        target[p] = cosine * before + sine * value
        value = cosine * value - sine * before


def solve(factor: Array, x: Array, transposed: bool, out: Array) -> None:
    """Write ``L^-1 x``, or ``L^-T x`` if `transposed`, into `out` for a lower factor ``L``; `out` may be `x`."""
    n = len(x)
    if transposed:
        for i in range(n - 1, -1, -1):
            total = x[i]
            for k in range(i + 1, n):
                total -= factor[k, i] * out[k]
            out[i] = total / factor[i, i]
    else:
        for i in range(n):
            total = x[i]
            for k in range(i):
                total -= factor[i, k] * out[k]
            out[i] = total / factor[i, i]
