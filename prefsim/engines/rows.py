"""Arrays of runs that are played side by side: where one run has a number in an array, these have lanes of them.

They stand for NumPy's arrays in the text of ``bandit_loop`` and in the rules. ``array[i]`` is entry ``i`` of every run, and
with an index that differs by run, each run's own entry. An array that all runs share may be read with such an index too.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from prefsim.engines.compiler import ALLOCATING
from prefsim.engines.lane_type import WIDTH, Lanes, constant, define, lift, vector

float64, int64, uint64 = np.float64, np.int64, np.uint64


class Rows(types.Type):
    """Numba's type of an array of numbers per run: entry ``i`` of run ``l`` at ``i * WIDTH + l``."""

    def __init__(self, element: Any) -> None:
        self.element = element
        self.flat = types.Array(element, 1, "C")
        super().__init__(name=f"Rows({element})")


@register_model(Rows)
class _RowsModel(models.StructModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("flat", kind.flat)])


class Records(NamedTuple):
    """An array (run, slot, metric) into which lanes are written, as many as there are runs."""

    array: Any
    runs: Any


@intrinsic
def _rows(context, flat):  # type: ignore[no-untyped-def]
    rows = Rows(flat.dtype)

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        struct = context.make_helper(builder, rows)
        struct.flat = values[0]
        context.nrt.incref(builder, flat, values[0])
        return struct._getvalue()

    return rows(flat), generate


def _entries(shape: Any) -> Any:
    """Entries of an array of one axis."""


@overload(_entries)
def _(shape):  # type: ignore[no-untyped-def]
    if isinstance(shape, types.Integer):
        return lambda shape: shape
    return (lambda shape: shape[0]) if len(shape) == 1 else None


@njit(**ALLOCATING)  # type: ignore[call-overload]
def zeros(shape, dtype=np.float64):  # type: ignore[no-untyped-def]
    """Rows of zeros."""
    return _rows(np.zeros(_entries(shape) * WIDTH, dtype))


def _flat(context: Any, builder: Any, rows: Any, value: Any) -> tuple[Any, Any]:
    """The array that holds the rows, and how many there are."""
    flat = context.make_helper(builder, rows, value=value).flat
    array = context.make_array(rows.flat)(context, builder, flat)
    return array, builder.sdiv(array.nitems, ir.Constant(array.nitems.type, WIDTH))


def _place(context: Any, builder: Any, rows: Any, value: Any, index: Any, lane: int) -> Any:
    """Address of a run's entry; negative indices count from the end."""
    flat, length = _flat(context, builder, rows, value)
    below = builder.icmp_signed("<", index, ir.Constant(index.type, 0))
    row = builder.select(below, builder.add(index, length), index)
    first = builder.mul(row, ir.Constant(index.type, WIDTH))
    place = builder.add(first, ir.Constant(index.type, lane))
    return cgutils.get_item_pointer(context, builder, rows.flat, flat, [place])


def _row(context: Any, builder: Any, rows: Any, kind: Any, value: Any, index: Any) -> Any:
    """Address of an entry of all runs."""
    place = _place(context, builder, rows, value, context.cast(builder, index, kind, types.int64), 0)
    return builder.bitcast(place, vector(rows.element).as_pointer())


def _own(context: Any, builder: Any, kind: Any, value: Any, index: Any) -> Iterator[tuple[Any, Any]]:
    """Each lane, with the address of its run's entry in rows or in an array that all runs share."""
    for lane in range(WIDTH):
        entry = builder.extract_element(index, constant(lane))
        if isinstance(kind, Rows):
            place = _place(context, builder, kind, value, entry, lane)
        else:
            array = context.make_array(kind)(context, builder, value)
            place = cgutils.get_item_pointer(context, builder, kind, array, [entry], wraparound=True)
        yield constant(lane), place


def _length(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return _flat(context, builder, signature.args[0], values[0])[1]


def _load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return builder.load(_row(context, builder, *signature.args, *values), align=8)


def _gather(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    result = ir.Constant(vector(signature.return_type.element), ir.Undefined)
    for lane, place in _own(context, builder, signature.args[0], *values):
        result = builder.insert_element(result, builder.load(place), lane)
    return result


def _store(context: Any, builder: Any, signature: Any, values: Any) -> None:
    rows, index, kind = signature.args
    lanes = lift(context, builder, values[2], kind, rows.element)
    builder.store(lanes, _row(context, builder, rows, index, *values[:2]), align=8)


def _scatter(context: Any, builder: Any, signature: Any, values: Any) -> None:
    rows, _, kind = signature.args
    lanes = lift(context, builder, values[2], kind, rows.element)
    for lane, place in _own(context, builder, rows, *values[:2]):
        builder.store(builder.extract_element(lanes, lane), place)


def _entry(array: Any, index: Any) -> Any:
    element = array.element if isinstance(array, Rows) else array.ndim == 1 and array.dtype
    whole = isinstance(index, types.Integer) or index.element == types.int64
    return Lanes(element) if whole and element in (types.float64, types.int64, types.uint64) else None


def _written(rows: Any, index: Any, value: Any) -> Any:
    kind = value.element if isinstance(value, Lanes) else types.unliteral(value)
    fits = kind == rows.element or (rows.element == types.float64 and not isinstance(value, Lanes))
    whole = isinstance(index, types.Integer) or index.element == types.int64
    return types.none if fits and whole else None


define((len,), ((Rows,),), lambda rows: types.intp, _length)
define((operator.getitem,), ((Rows, types.Integer),), _entry, _load)
define((operator.getitem,), ((Rows, Lanes), (types.Array, Lanes)), _entry, _gather)
for _kind in (Lanes, types.Number):
    define((operator.setitem,), ((Rows, types.Integer, _kind),), _written, _store)
    define((operator.setitem,), ((Rows, Lanes, _kind),), _written, _scatter)


@intrinsic
def _lane(context, lanes, lane):  # type: ignore[no-untyped-def]
    """The number in one lane."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return builder.extract_element(values[0], builder.trunc(values[1], ir.IntType(32)))

    return lanes.element(lanes, types.int64), generate


@overload(operator.setitem)
def _record(records, place, value):  # type: ignore[no-untyped-def]
    if getattr(records, "instance_class", None) is not Records or not isinstance(value, Lanes):
        return None

    def write(records, place, value):  # type: ignore[no-untyped-def]
        run, slot, metric = place
        for lane in range(min(WIDTH, records.runs)):
            records.array[run + lane, slot, metric] = _lane(value, lane)

    return write


@overload(operator.getitem)
def _recorded(records, place):  # type: ignore[no-untyped-def]
    if getattr(records, "instance_class", None) is Records and isinstance(place, types.BaseTuple):
        return lambda records, place: records.array[place]
    return None
