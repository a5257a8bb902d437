"""What games side by side need beside the arithmetic of lanes: loads, stores, sums and a vectorised exponential.

Numba's ``np.exp`` is a scalar call; :func:`exponential` is arithmetic, which LLVM puts into vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from prefsim.engines.lane_type import WIDTH, Lanes, lift, vector, where

_VECTOR, _WORDS = vector(types.float64), vector(types.int64)
_lanes = Lanes(types.float64)


@intrinsic
def larger(context, one, other):  # type: ignore[no-untyped-def]
    """Lane by lane the larger; `other` where either is NaN."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return _lanes(one, other), generate


@intrinsic
def weighted(context, weight, value):  # type: ignore[no-untyped-def]
    """``weight * value``, and 0 where the weight is 0, whatever the value."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        zero = ir.Constant(_VECTOR, [0.0] * WIDTH)
        return builder.select(builder.fcmp_ordered("==", values[0], zero), zero, builder.fmul(*values))

    return _lanes(weight, value), generate


@intrinsic
def magnitude(context, value):  # type: ignore[no-untyped-def]
    """Absolute values."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        mask = ir.Constant(_WORDS, [2**63 - 1] * WIDTH)
        return builder.bitcast(builder.and_(builder.bitcast(values[0], _WORDS), mask), _VECTOR)

    return _lanes(value), generate


@intrinsic
def first_lanes(context, value, count):  # type: ignore[no-untyped-def]
    """The first `count` lanes of a vector, and ``-inf`` behind them."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        numbers = ir.Constant(_VECTOR, [float(lane) for lane in range(WIDTH)])
        count = builder.sitofp(values[1], ir.DoubleType())
        inside = builder.fcmp_ordered("<", numbers, lift(context, builder, count, types.float64, types.float64))
        return builder.select(inside, values[0], ir.Constant(_VECTOR, [-np.inf] * WIDTH))

    return _lanes(value, types.int64), generate


def _fold(combine: Any) -> Any:
    """Combine the lanes of a vector into one number: lane ``l`` with ``l + 4``, then with ``l + 2``, then with ``l + 1``."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        (vector,), length = values, WIDTH
        while length > 1:
            length //= 2
            halves = [ir.Constant(ir.VectorType(ir.IntType(32), length), list(range(k, k + length))) for k in (0, length)]
            vector = combine(builder, *(builder.shuffle_vector(vector, vector, half) for half in halves))
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return generate


@intrinsic
def highest(context, value):  # type: ignore[no-untyped-def]
    """The largest lane."""
    return types.float64(value), _fold(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


@intrinsic
def across(context, value):  # type: ignore[no-untyped-def]
    """Sum of the lanes, ``((0+4) + (2+6)) + ((1+5) + (3+7))``."""
    return types.float64(value), _fold(lambda builder, a, b: builder.fadd(a, b))


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Address of the `index`-th group of eight doubles of a contiguous array."""
    data = context.make_array(kind)(context, builder, array).data
    offset = builder.mul(index, ir.Constant(ir.IntType(64), WIDTH))
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


@intrinsic
def load(context, array, index):  # type: ignore[no-untyped-def]
    """Group `index` of eight doubles of a contiguous array."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return builder.load(_place(context, builder, signature.args[0], *values), align=8)

    return _lanes(array, types.int64), generate


@intrinsic
def store(context, array, index, value):  # type: ignore[no-untyped-def]
    """Write group `index` of eight doubles of a contiguous array."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        builder.store(values[2], _place(context, builder, signature.args[0], *values[:2]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), generate


@intrinsic
def _power_of_two(context, shifted):  # type: ignore[no-untyped-def]
    """``2^k`` from ``k + 1.5 * 2^52``: the lowest bits of that sum are ``k``, which go into the exponent's place."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        words = builder.add(builder.bitcast(values[0], _WORDS), ir.Constant(_WORDS, [1023] * WIDTH))
        return builder.bitcast(builder.shl(words, ir.Constant(_WORDS, [52] * WIDTH)), _VECTOR)

    return _lanes(shifted), generate


LOWEST = -708.0
"""Below this :func:`exponential` is 0; the exact value is under 1e-307."""

_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer
_PER_LN2 = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # ln 2 in two parts; products of the first with integers up to 2^20 are exact
_LN2_LOW = 1.9082149292705877e-10


def exponential(x):  # type: ignore[no-untyped-def]
    """``e^x`` of values <= 0 to 3e-16 relative: ``x = k ln 2 + r`` and the Taylor polynomial of degree 12 in ``r``.

    The first term left out is ``(ln 2 / 2)^13 / 13! = 1.7e-16``.
    """
    inside = where(x < LOWEST, LOWEST, x)
    shifted = inside * _PER_LN2 + _ROUND
    k = shifted - _ROUND
    r = inside - k * _LN2_HIGH
    r = r - k * _LN2_LOW
    value = r * (1 / 479001600) + 1 / 39916800
    value = value * r + 1 / 3628800
    value = value * r + 1 / 362880
    value = value * r + 1 / 40320
    value = value * r + 1 / 5040
    value = value * r + 1 / 720
    value = value * r + 1 / 120
    value = value * r + 1 / 24
    value = value * r + 1 / 6
    value = value * r + 0.5
    value = value * r + 1.0
    value = value * r + 1.0
    return where(x < LOWEST, 0.0, value * _power_of_two(shifted))


def padded(length: int) -> int:
    """The next multiple of ``WIDTH``."""
    return -(-length // WIDTH) * WIDTH


def pad(array: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """Copy with the last axis filled up to a multiple of ``WIDTH``; the array itself if it is contiguous and needs none."""
    n = array.shape[-1]
    if padded(n) == n:
        return np.ascontiguousarray(array)
    wide = np.full((*array.shape[:-1], padded(n)), fill)
    wide[..., :n] = array
    return wide
