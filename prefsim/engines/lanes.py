"""What games need beside the arithmetic of lanes: loads, stores, sums and a vectorised exponential.

What an array holds, float64 or float32, says which vectors are loaded from it. Numba's ``np.exp`` is a scalar call;
:func:`exponential` is arithmetic, which LLVM puts into vectors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from prefsim.engines.lane_type import Lanes, lift, vector

BYTES = 64
"""Size of a vector; arrays that are loaded from have rows padded to a multiple of it."""


class Format(NamedTuple):
    """A floating-point format, and what :func:`exponential` does in it."""

    word: ir.Type
    """An integer of the size of a number."""
    fraction: int
    """Bits of the fraction; the exponent stands above them."""
    bias: int
    """What is added to the exponent."""
    lowest: float
    """Where the exponential ends."""
    degree: int
    """Degree of its polynomial."""
    ln2: tuple[float, float]
    """``ln 2`` in two parts; products of the first with the integers that occur are exact."""


FORMATS = {
    types.float64: Format(ir.IntType(64), 52, 1023, -708.0, 12, (0.6931471803691238, 1.9082149292705877e-10)),
    types.float32: Format(ir.IntType(32), 23, 127, -87.0, 7, (0.693359375, -2.1219444005469057e-4)),
}


def _same(kind: Lanes, number: float) -> ir.Constant:
    """A constant in every lane."""
    return ir.Constant(vector(kind.element), [number] * kind.width)


@intrinsic
def lanes_of(context, array):  # type: ignore[no-untyped-def]
    """How many numbers of an array a vector holds, a constant of the compiled code."""
    return types.int64(array), lambda context, builder, signature, values: ir.Constant(
        ir.IntType(64), Lanes(array.dtype).width
    )


@intrinsic
def spread_like(context, array, number):  # type: ignore[no-untyped-def]
    """A number in every lane of a vector like those of `array`."""
    return Lanes(array.dtype)(array, number), lambda context, builder, signature, values: lift(
        context, builder, values[1], number, array.dtype
    )


@intrinsic
def larger(context, one, other):  # type: ignore[no-untyped-def]
    """Lane by lane the larger; `other` where either is NaN."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return one(one, other), generate


@intrinsic
def weighted(context, weight, value):  # type: ignore[no-untyped-def]
    """``weight * value``, and 0 where the weight is 0, whatever the value."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        zero = _same(weight, 0.0)
        return builder.select(builder.fcmp_ordered("==", values[0], zero), zero, builder.fmul(*values))

    return weight(weight, value), generate


@intrinsic
def first_lanes(context, value, count):  # type: ignore[no-untyped-def]
    """The first `count` lanes of a vector, and ``-inf`` behind them."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        numbers = ir.Constant(vector(value.element), [float(lane) for lane in range(value.width)])
        inside = builder.fcmp_ordered("<", numbers, lift(context, builder, values[1], types.int64, value.element))
        return builder.select(inside, values[0], _same(value, -np.inf))

    return value(value, types.int64), generate


def _fold(combine: Any) -> Any:
    """Combine the lanes of a vector into one number: lane ``l`` with ``l + half``, then with ``l + quarter`` and so on."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        (lanes,), length = values, signature.args[0].width
        while length > 1:
            length //= 2
            halves = [ir.Constant(ir.VectorType(ir.IntType(32), length), list(range(k, k + length))) for k in (0, length)]
            lanes = combine(builder, *(builder.shuffle_vector(lanes, lanes, half) for half in halves))
        return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))

    return generate


@intrinsic
def highest(context, value):  # type: ignore[no-untyped-def]
    """The largest lane."""
    return value.element(value), _fold(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


@intrinsic
def across(context, value):  # type: ignore[no-untyped-def]
    """Sum of the lanes, ``((0+4) + (2+6)) + ((1+5) + (3+7))`` where there are eight."""
    return value.element(value), _fold(lambda builder, a, b: builder.fadd(a, b))


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Address of the `index`-th vector of a contiguous array."""
    lanes = vector(kind.dtype)
    data = context.make_array(kind)(context, builder, array).data
    offset = builder.mul(index, ir.Constant(ir.IntType(64), lanes.count))
    return builder.bitcast(builder.gep(data, [offset]), lanes.as_pointer())


@intrinsic
def load(context, array, index):  # type: ignore[no-untyped-def]
    """Vector `index` of a contiguous array."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return builder.load(_place(context, builder, array, *values), align=array.dtype.bitwidth // 8)

    return Lanes(array.dtype)(array, types.int64), generate


@intrinsic
def store(context, array, index, value):  # type: ignore[no-untyped-def]
    """Write vector `index` of a contiguous array; a number goes to every lane."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        lanes = lift(context, builder, values[2], value, array.dtype)
        builder.store(lanes, _place(context, builder, array, *values[:2]), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), generate


@intrinsic
def exponential(context, x):  # type: ignore[no-untyped-def]
    """``e^x`` of values <= 0: ``x = k ln 2 + r`` and the Taylor polynomial in ``r``, to 3e-16 relative, or 2e-7 in float32.

    The first term left out is ``(ln 2 / 2)^13 / 13! = 1.7e-16``, and ``(ln 2 / 2)^8 / 8! = 5e-9`` in float32. Adding
    ``1.5 * 2^52`` (``2^23``) rounds to an integer; the lowest bits of the sum are ``k``, which go into the exponent's place.
    Below -708 (-87), where the exact value is under 1e-307 (2e-38), it is 0.
    """

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        form, lanes = FORMATS[x.element], vector(x.element)
        below = builder.fcmp_ordered("<", values[0], _same(x, form.lowest))
        inside = builder.select(below, _same(x, form.lowest), values[0])
        rounding = _same(x, 1.5 * 2.0**form.fraction)
        shifted = builder.fadd(builder.fmul(inside, _same(x, 1.4426950408889634)), rounding)
        k, r = builder.fsub(shifted, rounding), inside
        for part in form.ln2:
            r = builder.fsub(r, builder.fmul(k, _same(x, part)))
        value = _same(x, 1 / math.factorial(form.degree))
        for j in reversed(range(form.degree)):
            value = builder.fadd(builder.fmul(value, r), _same(x, 1 / math.factorial(j)))
        words = ir.VectorType(form.word, x.width)
        bias, fraction = (ir.Constant(words, [number] * x.width) for number in (form.bias, form.fraction))
        power = builder.shl(builder.add(builder.bitcast(shifted, words), bias), fraction)
        return builder.select(below, _same(x, 0.0), builder.fmul(value, builder.bitcast(power, lanes)))

    return x(x), generate


def pad(array: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """Copy with the last axis filled up to whole vectors; the array itself if it is contiguous and needs none."""
    n, width = array.shape[-1], BYTES // array.itemsize
    if n % width == 0:
        return np.ascontiguousarray(array)
    wide = np.full((*array.shape[:-1], -(-n // width) * width), fill, array.dtype)
    wide[..., :n] = array
    return wide
