"""The vocabulary rules are written in: one meaning on NumPy, any array-API library and Numba.

Array functions act on the last axis and broadcast over leading ones, so the same rule serves one game, a batch of
games, and responses sampled from a language model. Under Numba each has a twin for one row (``engines/numba_ops.py``);
under tracing (``trace.py``) the affine ones also accept symbols.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim.logistic import logistic_fit, sigmoid
from prefsim.noise import beta, normal, uniform
from prefsim.vectors import (
    add_outer,
    cholesky,
    copy_changed,
    dot,
    factor_add,
    invert,
    multiply,
    quadratic,
    rank_one,
    solve,
)

Array = Any
"""An array of any supported library; rules never look inside."""

__all__ = [
    "Array",
    "add_outer",
    "advantage",
    "argmax_random",
    "bernoulli_kl",
    "best_reply",
    "beta",
    "cholesky",
    "choose",
    "clip",
    "coin_kl",
    "column",
    "copy_changed",
    "dot",
    "draw",
    "every",
    "exp",
    "factor_add",
    "floats",
    "integers",
    "invert",
    "kl",
    "log",
    "log_normalize",
    "logistic_fit",
    "logsumexp",
    "multiply",
    "normal",
    "normalize",
    "positive_part",
    "project_simplex",
    "quadratic",
    "rank_one",
    "sigmoid",
    "softmax",
    "solve",
    "span",
    "uniform",
    "win_rates",
]

TIE = 1e-12
"""Values within this absolute distance of the maximum tie with it; regrets up to this size are none."""


class Field(tuple):
    """Type and shape of one array of a policy's state, for the engine that allocates it."""

    __slots__ = ()

    def __new__(cls, dtype: str, shape: tuple[str | int, ...]) -> Field:
        return super().__new__(cls, (dtype, shape))


def floats(*shape: str | int) -> Any:
    """Declare a float64 state array; axes are numbers or names of the problem's fields (``"arms"``)."""
    return Field("float64", shape)


def integers(*shape: str | int) -> Any:
    """Declare an int64 state array; axes as in :func:`floats`."""
    return Field("int64", shape)


def _namespace(array: Array) -> Any:
    if isinstance(array, np.ndarray):
        return np
    try:
        return array.__array_namespace__()
    except AttributeError:
        try:
            from array_api_compat import array_namespace  # torch tensors do not carry their namespace
        except ImportError:
            kind = type(array).__name__
            raise TypeError(f"{kind} is no array that prefsim knows; for torch tensors, install array-api-compat.") from None
        return array_namespace(array)


def logsumexp(values: Array) -> Array:
    """``log sum exp`` over the last axis, shape (...)."""
    xp = _namespace(values)
    top = xp.max(values, axis=-1, keepdims=True)
    return (top + xp.log(xp.sum(xp.exp(values - top), axis=-1, keepdims=True)))[..., 0]


def log_normalize(values: Array) -> Array:
    """Subtract the log-normaliser: the log-policy proportional to ``exp(values)``, shape (..., n)."""
    symbolic = getattr(values, "log_normalize", None)
    if symbolic is not None:
        return symbolic()
    xp = _namespace(values)
    # The largest comes off first: as part of the log-normaliser it would cost the digits of values that are large.
    values = values - xp.max(values, axis=-1, keepdims=True)
    return values - xp.log(xp.sum(xp.exp(values), axis=-1, keepdims=True))


def softmax(values: Array) -> Array:
    """Probabilities proportional to ``exp(values)``, shape (..., n)."""
    return _namespace(values).exp(log_normalize(values))


def win_rates(preference: Array, log_policy: Array) -> Array:
    """``P(y > q) = sum_y' q(y') P(y > y')`` for each action ``y``; matrices (..., n, n), log-policies (..., n).

    Policies that meet one matrix, (n, n) or (..., 1, n, n), are the rows of one matrix product.
    """
    xp = _namespace(preference)
    played = xp.exp(log_policy)
    if preference.ndim == 2:
        rows = xp.reshape(played, (-1, played.shape[-1]))
        return xp.reshape(xp.matmul(rows, xp.matrix_transpose(preference)), played.shape)
    if preference.shape[-3] == 1 and played.ndim > 1:
        return xp.matmul(played, xp.matrix_transpose(preference[..., 0, :, :]))
    return xp.matmul(preference, played[..., None])[..., 0]


def kl(log_p: Array, log_q: Array) -> Array:
    """``KL(p, q) = sum p log(p / q)``, accurate down to 1e-30 and for entries with ``p = 0``; shape (...).

    Sums the non-negative terms ``p (expm1(d) - d)``, ``d = log q - log p``, which equals ``p log(p / q)`` plus terms
    that cancel; a series replaces them for small ``d`` and ``q - p - p d`` for large ``d``.
    """
    xp = _namespace(log_p)
    p, q = xp.exp(log_p), xp.exp(log_q)
    dead = p == 0
    d = xp.where(dead, 0.0, log_q - xp.where(dead, 0.0, log_p))
    series = p * d * d * (0.5 + d * (1 / 6 + d / 24))
    middle = xp.clip(d, -1.0, 1.0)
    middle = p * (xp.expm1(middle) - middle)
    large = q - p - p * d
    terms = xp.where(xp.abs(d) < 1e-3, series, xp.where(xp.abs(d) <= 1, middle, large))
    return xp.sum(xp.where(dead, q, terms), axis=-1)


def column(numbers: Array) -> Array:
    """Give a number per policy (``kl``, ``logsumexp``, ``span``) its last axis back, to meet log-policies (..., n)."""
    return numbers[..., None]


def span(values: Array) -> Array:
    """``max - min`` over the last axis, shape (...)."""
    xp = _namespace(values)
    return xp.max(values, axis=-1) - xp.min(values, axis=-1)


def log(values: Array) -> Array:
    """Natural logarithm, ``-inf`` at 0 and below; shape of `values`."""
    xp = _namespace(values)
    alive = values > 0
    return xp.where(alive, xp.log(xp.where(alive, values, 1.0)), -xp.inf)


def exp(values: Array) -> Array:
    """``e`` to the power of each value, shape of `values`."""
    return _namespace(values).exp(values)


def clip(values: Array, low: float, high: float) -> Array:
    """Each value, or the nearer of two numbers if it lies outside them; shape of `values`."""
    return _namespace(values).clip(values, low, high)


def normalize(weights: Array, otherwise: Array) -> Array:
    """Log-policy in proportion to `weights` >= 0, ``-inf`` where they are 0; `otherwise` in rows that are 0 all over."""
    xp = _namespace(weights)
    total = xp.sum(weights, axis=-1, keepdims=True)
    empty = total <= 0
    return xp.where(empty, otherwise, log(weights / xp.where(empty, 1.0, total)))


def positive_part(values: Array) -> Array:
    """``max(values, 0)``, shape (..., n). Up to ``TIE`` counts as 0: rounding must not pass for a regret."""
    return _namespace(values).where(values > TIE, values, 0.0)


def advantage(values: Array, log_policy: Array) -> Array:
    """``v(y) - sum_y' p(y') v(y')``: values over their mean under the policy, shape (..., n)."""
    xp = _namespace(values)
    return values - xp.sum(xp.exp(log_policy) * values, axis=-1, keepdims=True)


def best_reply(gain: Array) -> Array:
    """All probability on the first action whose gain is within ``TIE`` of the largest, shape (..., n)."""
    xp = _namespace(gain)
    place = _cumulative(xp, xp.ones_like(gain))
    tied = gain >= xp.max(gain, axis=-1, keepdims=True) - TIE
    first = xp.min(xp.where(tied, place, xp.inf), axis=-1, keepdims=True)
    return xp.where(place == first, 1.0, xp.zeros_like(gain))


def project_simplex(values: Array) -> Array:
    """Nearest probabilities in Euclidean distance, ``max(v - c, 0)`` with ``c`` such that they sum to 1; shape (..., n).

    With ``v`` sorted downwards, ``c = max_k (v_1 + ... + v_k - 1) / k``: those quotients rise as long as ``v_k``
    exceeds them and fall from there on (Held, Wolfe and Crowder 1974).
    """
    xp = _namespace(values)
    ordered = xp.flip(xp.sort(values, axis=-1), axis=-1)
    threshold = xp.max((_cumulative(xp, ordered) - 1) / _cumulative(xp, xp.ones_like(values)), axis=-1, keepdims=True)
    return xp.where(values > threshold, values - threshold, 0.0)


def _cumulative(xp: Any, values: Array) -> Array:
    """Sums of the first 1, 2, ... entries of the last axis (the standard's name is missing from NumPy 2.0)."""
    return xp.cumsum(values, axis=-1) if xp is np else xp.cumulative_sum(values, axis=-1)


def choose(condition: Array, one: Array, other: Array) -> Array:
    """Rows of `one` where `condition` (shape (...)) holds and of `other` elsewhere, shape (..., n)."""
    return _namespace(one).where(condition[..., None], one, other)


def every(condition: Array) -> bool:
    """Whether `condition` (shape (...)) holds in all rows, so that a loop may end."""
    return bool(_namespace(condition).all(condition))


def bernoulli_kl(p: Any, q: Any) -> NDArray[np.float64]:
    """``kl(p, q) = p ln(p/q) + (1 - p) ln((1 - p)/(1 - q))`` elementwise, with ``0 ln 0 = 0``."""
    p, q = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64))
    both = np.stack([p, 1 - p], axis=-1)
    with np.errstate(divide="ignore"):
        return kl(np.log(both), np.log(np.stack([q, 1 - q], axis=-1)))


def coin_kl(p: float) -> float:
    """``kl(p, 1/2) = p ln 2p + (1 - p) ln 2(1 - p)`` of one number, accurate near ``p = 1/2`` too."""
    x = 2.0 * p - 1.0
    if abs(x) < 0.01:
        return x * x * (0.5 + x * x * (1 / 12 + x * x / 30))
    if abs(x) >= 1.0:
        return math.log(2.0)
    return p * math.log(2.0 * p) + (1.0 - p) * math.log(2.0 * (1.0 - p))


def argmax_random(values: NDArray[np.float64], noise: NDArray[np.uint64]) -> int:
    """Index of the largest value of one row; ties (within 1e-12) are broken uniformly with one draw."""
    best = values[0]
    for i in range(1, len(values)):
        if values[i] > best:
            best = values[i]
    ties = 0
    first = 0
    for i in range(len(values)):
        if values[i] >= best - TIE:
            if ties == 0:
                first = i
            ties += 1
    if ties == 1:
        return first
    chosen = int(uniform(noise) * ties)
    for i in range(first, len(values)):
        if values[i] >= best - TIE:
            if chosen == 0:
                return i
            chosen -= 1
    return first


def draw(weights: NDArray[np.float64], total: float, noise: NDArray[np.uint64]) -> int:
    """Index drawn in proportion to weights >= 0 that sum to `total`, with one draw; one of weight 0 never comes out."""
    left = uniform(noise) * total
    i = 0
    while i < len(weights) - 1 and left >= weights[i]:
        left -= weights[i]
        i += 1
    while weights[i] == 0.0:  # rounding may walk past the last one that can be drawn
        i -= 1
    return i
