"""Eight numbers of one kind as one value of compiled code, with the arithmetic of one number; or sixteen of single precision.

LLVM turns such a value into whatever vectors the machine has. Plain loops over small arrays stay scalar instead, because
the compiler cannot know that the arrays do not overlap, and most calls are scalar in any case. Every operation acts lane
by lane, without contraction, as Numba's on one number does, so that a lane holds the same bits whatever its neighbours are
and whatever the machine's vectors.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 8
"""Lanes of a vector of 64-bit words; one of ``float32`` has twice as many, and takes nothing but arithmetic."""

ELEMENTS = (types.float64, types.int64, types.uint64, types.boolean)
"""What a lane may hold besides; anything else has no lanes, and what needs them does not compile."""

FLOATS = (types.float64, types.float32)


class Lanes(types.Type):
    """Numba's type of a vector of numbers, of a kind among ``ELEMENTS`` or ``FLOATS``."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Lanes({element})")

    @property
    def width(self) -> int:
        """How many numbers."""
        return int(vector(self.element).count)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, vector(kind.element))


TRUTHS = Lanes(types.boolean)
NUMBERS = (Lanes, types.Number, types.Boolean)


def vector(element: Any) -> Any:
    """LLVM's type of a vector of numbers."""
    if element == types.float32:
        return ir.VectorType(ir.FloatType(), 2 * WIDTH)
    number = ir.DoubleType() if element == types.float64 else ir.IntType(1 if element == types.boolean else 64)
    return ir.VectorType(number, WIDTH)


def constant(number: int) -> Any:
    """A number as LLVM wants it to say which lane."""
    return ir.Constant(ir.IntType(32), number)


def lift(context: Any, builder: Any, value: Any, kind: Any, element: Any) -> Any:
    """A number, put into every lane, or lanes, as lanes of another kind."""
    lanes = vector(element)
    if not isinstance(kind, Lanes):
        empty = ir.Constant(lanes, ir.Undefined)
        first = builder.insert_element(empty, context.cast(builder, value, kind, element), constant(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), [0] * lanes.count)
        return builder.shuffle_vector(first, empty, zeros)
    if value.type == lanes:
        return value
    if element != types.float64:
        return builder.zext(value, lanes)
    return (builder.sitofp if kind.element == types.int64 else builder.uitofp)(value, lanes)


def common(one: Any, other: Any) -> Any:
    """What two operands are turned into, as Numba does it with numbers; None if lanes cannot hold that.

    A number that meets lanes of single precision is rounded, or every constant in the text would make them double.
    """
    lanes = {kind.element for kind in (one, other) if isinstance(kind, Lanes)}
    if types.float32 in lanes:
        return types.float32 if len(lanes) == 1 else None
    elements = [kind.element if isinstance(kind, Lanes) else types.unliteral(kind) for kind in (one, other)]
    if elements[0] == elements[1]:
        return elements[0] if elements[0] in ELEMENTS else None
    if set(elements) == {types.int64, types.uint64} or types.float64 in elements:
        return types.float64
    return types.int64 if types.int64 in elements else None


def define(symbols: tuple[Any, ...], kinds: tuple[tuple[Any, ...], ...], result: Callable[..., Any], emit: Any) -> None:
    """Give functions a meaning on arguments of `kinds` that have a `result`; a table entry, which compiles in no time.

    ``emit(context, builder, signature, values)`` writes LLVM's code for it.
    """
    for symbol in symbols:

        @infer_global(symbol)
        class Operation(AbstractTemplate):
            def generic(self, arguments: Any, keywords: Any) -> Any:
                kinds_match = (all(map(isinstance, arguments, kind)) for kind in kinds if len(kind) == len(arguments))
                found = result(*arguments) if any(kinds_match) else None
                return found and signature(found, *map(types.unliteral, arguments))

        for kind in kinds:
            lower_builtin(symbol, *kind)(emit)


_PAIRS = ((Lanes, Lanes), *((Lanes, kind) for kind in NUMBERS[1:]), *((kind, Lanes) for kind in NUMBERS[1:]))


def _operation(symbols: tuple[Any, ...], element_of: Any, emit: Any, result: Any = None) -> None:
    """Give operators of two operands a meaning where at least one is lanes."""

    def found(one: Any, other: Any) -> Any:
        element = element_of(one, other)
        return element and (result or Lanes(element))

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        element = element_of(*signature.args)
        pairs = zip(values, signature.args, strict=True)
        return emit(builder, element, *(lift(context, builder, value, kind, element) for value, kind in pairs))

    define(symbols, _PAIRS, found, lower)


def _arithmetic(one: Any, other: Any) -> Any:
    element = common(one, other)
    return None if element == types.boolean else element


def _divided(one: Any, other: Any) -> Any:
    element = common(one, other)
    return element if element in FLOATS else element and types.float64


def _compared(one: Any, other: Any) -> Any:
    element = common(one, other)
    return None if element == types.float32 else element


def _bits(one: Any, other: Any) -> Any:
    element = common(one, other)
    return None if element in FLOATS else element


def _words(one: Any, other: Any) -> Any:
    element = common(one, other)
    return element if element == types.uint64 else None


def _instruction(floating: str, whole: str = "") -> Any:
    """LLVM's instruction for floating point and the one for integers."""
    return lambda builder, element, *values: getattr(builder, floating if element in FLOATS else whole)(*values)


def _compare(sign: str) -> Any:
    def emit(builder: Any, element: Any, one: Any, other: Any) -> Any:
        if element == types.float64:
            return (builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered)(sign, one, other)
        return (builder.icmp_signed if element == types.int64 else builder.icmp_unsigned)(sign, one, other)

    return emit


def _extreme(sign: str) -> Any:
    """The first unless the second is beyond it, as Python has it."""
    beyond = _compare(sign)
    return lambda builder, element, one, other: builder.select(beyond(builder, element, other, one), other, one)


for _name in ("add", "sub", "mul"):
    _operation((getattr(operator, _name), getattr(operator, f"i{_name}")), _arithmetic, _instruction(f"f{_name}", _name))
_operation((operator.truediv, operator.itruediv), _divided, _instruction("fdiv"))
for _name in ("and_", "or_", "xor"):
    _operation((getattr(operator, _name),), _bits, _instruction("", _name))
for _name, _whole in {"lshift": "shl", "rshift": "lshr"}.items():
    _operation((getattr(operator, _name),), _words, _instruction("", _whole))
for _name, _sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    _operation((getattr(operator, _name),), _compared, _compare(_sign), TRUTHS)
_operation((max,), _compared, _extreme(">"))
_operation((min,), _compared, _extreme("<"))


def _as(element: Any) -> Any:
    return lambda value: None if value.element == types.float32 else Lanes(element)


def _convert(function: Any, element: Any) -> None:
    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = signature.args[0]
        if kind.element == types.float64 and element == types.int64:
            return builder.fptosi(values[0], vector(element))
        return lift(context, builder, values[0], kind, element)

    define((function,), ((Lanes,),), _as(element), lower)


_convert(float, types.float64)
_convert(int, types.int64)


def _lower_function(name: str) -> Any:
    """The function of LLVM by which Numba computes that of one number, called for every lane."""

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        lanes = lift(context, builder, values[0], signature.args[0], types.float64)
        function = builder.module.declare_intrinsic(f"llvm.{name}", [ir.DoubleType()])
        result = ir.Constant(lanes.type, ir.Undefined)
        for lane in range(WIDTH):
            number = builder.call(function, [builder.extract_element(lanes, constant(lane))])
            result = builder.insert_element(result, number, constant(lane))
        return result

    return lower


def _lower_sqrt(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Square roots at once; they are exactly rounded, so that every way to compute them gives the same."""
    lanes = lift(context, builder, values[0], signature.args[0], types.float64)
    kind = ir.FunctionType(lanes.type, [lanes.type])
    return builder.call(builder.module.declare_intrinsic(f"llvm.sqrt.v{WIDTH}f64", fnty=kind), [lanes])


define((math.sqrt,), ((Lanes,),), _as(types.float64), _lower_sqrt)
for _name in ("log", "exp", "cos", "sin"):
    define((getattr(math, _name),), ((Lanes,),), _as(types.float64), _lower_function(_name))


@intrinsic
def spread(context, number):  # type: ignore[no-untyped-def]
    """A number in every lane."""
    element = types.unliteral(number)
    return Lanes(element)(element), lambda context, builder, signature, values: lift(
        context, builder, values[0], element, element
    )


@intrinsic
def where(context, condition, one, other):  # type: ignore[no-untyped-def]
    """Lanes of `one` where `condition` holds and of `other` elsewhere."""
    element = common(one, other)

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        pairs = zip(values[1:], signature.args[1:], strict=True)
        return builder.select(values[0], *(lift(context, builder, value, kind, element) for value, kind in pairs))

    return Lanes(element)(condition, *map(types.unliteral, (one, other))), generate


@intrinsic
def some(context, condition):  # type: ignore[no-untyped-def]
    """Whether `condition` holds in any lane."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        bits = builder.bitcast(values[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(condition), generate


@intrinsic
def numbered(context):  # type: ignore[no-untyped-def]
    """0, 1, 2, ..., each lane its own number."""
    numbers = ir.Constant(vector(types.uint64), list(range(WIDTH)))
    return Lanes(types.uint64)(), lambda context, builder, signature, values: numbers
