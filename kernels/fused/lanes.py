"""A vector type for Numba: sixteen float32 numbers that are computed side by side.

LLVM maps a vector of sixteen floats to whatever the processor has: one AVX-512 register, two of
AVX2, four of SSE or NEON. The loops of this package therefore hold no instruction of any one
processor, and do not hope that a compiler vectorises them.

An array of lanes is a C-contiguous float32 array `[n, LANES]`. An array `[n]` has one number per
row for all lanes alike. `load(rows(array), i)` is row i of either.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16
"""How many images lie side by side."""

_ALIGNMENT = 4 * LANES
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INT32 = ir.IntType(32)
# Multiply-adds may be contracted and sums reordered, but NaN and infinity keep their meaning.
_FLAGS = ("nsz", "contract", "arcp", "afn", "reassoc")


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"lanes{LANES}")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def lane_zeros(rows: int) -> np.ndarray:
    """Return zeros `[rows, LANES]` whose rows start at a cache line."""
    raw = np.zeros(rows * _ALIGNMENT + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + rows * _ALIGNMENT].view(np.float32).reshape(rows, LANES)


class _Rows(types.Type):
    """Where an array of lanes begins; `spread` if it has one number per row for all lanes."""

    def __init__(self, spread: bool) -> None:
        self.spread = spread
        super().__init__(name=f"rows(spread={spread})")


@register_model(_Rows)
class _RowsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _FLOAT.as_pointer())


@intrinsic
def rows(typing_context, array):  # type: ignore[no-untyped-def]
    """Return a bare reference to a float32 array, which the caller keeps alive.

    Numba counts the references to an array wherever one is handed on, which costs more than the
    arithmetic of a row. A bare reference is one machine word.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return _Rows(array.ndim == 1)(array), generate


@intrinsic
def is_spread(typing_context, array):  # type: ignore[no-untyped-def]
    """Tell whether the array behind a reference has one number per row for all lanes."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.get_constant(types.boolean, array.spread)

    return types.boolean(array), generate


def _splat(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    mask = ir.Constant(ir.VectorType(_INT32, LANES), None)
    return builder.shuffle_vector(first, undefined, mask)


def _row_pointer(builder: Any, array: Any, row: Any) -> Any:
    offset = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(array, [offset], inbounds=True), _VECTOR.as_pointer())


@intrinsic
def load(typing_context, array, row):  # type: ignore[no-untyped-def]
    """Return row `row`; where an array has one number per row, that number in all lanes."""

    def one_number(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _splat(builder, builder.load(builder.gep(*arguments[:1], arguments[1:])))

    def one_row(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        value = builder.load(_row_pointer(builder, *arguments))
        value.align = 4
        return value

    return _lanes(array, types.intp), one_number if array.spread else one_row


@intrinsic
def store(typing_context, array, row, value):  # type: ignore[no-untyped-def]
    """Write `value` to row `row`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store(arguments[2], _row_pointer(builder, *arguments[:2])).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), generate


@intrinsic
def broadcast(typing_context, number):  # type: ignore[no-untyped-def]
    """Return `number` in every lane."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _splat(builder, arguments[0])

    return _lanes(types.float32), generate


def _llvm_function(name: str, count: int) -> Any:
    """Return an intrinsic that calls the LLVM function `name` on `count` vectors."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        function_type = ir.FunctionType(_VECTOR, [_VECTOR] * count)
        function = cgutils.get_or_insert_function(
            builder.module, function_type, f"llvm.{name}.v{LANES}f32"
        )
        return builder.call(function, arguments, fastmath=_FLAGS)

    def one(typing_context, a):  # type: ignore[no-untyped-def]
        return _lanes(_lanes), generate

    def two(typing_context, a, b):  # type: ignore[no-untyped-def]
        return _lanes(_lanes, _lanes), generate

    return intrinsic(one if count == 1 else two)


square_root = _llvm_function("sqrt", 1)
absolute = _llvm_function("fabs", 1)
larger = _llvm_function("maxnum", 2)
smaller = _llvm_function("minnum", 2)


@intrinsic
def add_lanes(typing_context, value):  # type: ignore[no-untyped-def]
    """Return the sum over the lanes."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        function_type = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        function = cgutils.get_or_insert_function(
            builder.module, function_type, f"llvm.vector.reduce.fadd.v{LANES}f32"
        )
        arguments = [ir.Constant(_FLOAT, 0.0), arguments[0]]
        return builder.call(function, arguments, fastmath=("reassoc",))

    return types.float32(_lanes), generate


@intrinsic
def where_negative(typing_context, test, if_negative, otherwise):  # type: ignore[no-untyped-def]
    """Return `if_negative` in the lanes where `test` is below zero, `otherwise` elsewhere."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        below = builder.fcmp_ordered("<", arguments[0], ir.Constant(_VECTOR, None))
        return builder.select(below, arguments[1], arguments[2])

    return _lanes(_lanes, _lanes, _lanes), generate


def _register_operator(function: Any, instruction: str) -> None:
    """Let `function` (such as `operator.add`) take two vectors, or a vector and a number."""

    @type_callable(function)
    def _(context):  # type: ignore[no-untyped-def]
        def typer(a, b):  # type: ignore[no-untyped-def]
            if {a, b} in ({_lanes}, {_lanes, types.float32}):
                return _lanes
            return None

        return typer

    for left, right in ((_lanes, _lanes), (_lanes, types.float32), (types.float32, _lanes)):

        @lower_builtin(function, left, right)
        def _(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            a, b = (
                value if kind == _lanes else _splat(builder, value)
                for kind, value in zip(signature.args, arguments, strict=True)
            )
            return getattr(builder, instruction)(a, b, flags=_FLAGS)


_register_operator(operator.add, "fadd")
_register_operator(operator.sub, "fsub")
_register_operator(operator.mul, "fmul")
_register_operator(operator.truediv, "fdiv")
