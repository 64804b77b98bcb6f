"""Vector types for Numba: sixteen numbers, float32 or float64, that are computed side by side.

LLVM maps a vector of sixteen floats to whatever the processor has: one AVX-512 register, two of
AVX2, four of SSE or NEON. The loops of this package therefore hold no instruction of any one
processor, and do not hope that a compiler vectorises them.

An array of lanes is a C-contiguous array `[n, LANES]` of either type. An array `[n]` has one number
per row for all lanes alike. `load(rows(array), i)` is row i of either. The same loops compile for
both types: a float32 number beside a vector of float64 is widened.
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

_CACHE_LINE = 64
_INT32 = ir.IntType(32)
# Multiply-adds may be contracted and sums reordered, but NaN and infinity keep their meaning.
_FLAGS = ("nsz", "contract", "arcp", "afn", "reassoc")


class _Lanes(types.Type):
    """A vector of numbers of the Numba type `number`."""

    def __init__(self, number: types.Float) -> None:
        self.number = number
        self.llvm = ir.VectorType(_LLVM_NUMBERS[number], LANES)
        self.suffix = f"v{LANES}f{number.bitwidth}"
        super().__init__(name=f"lanes{LANES} of {number}")


_LLVM_NUMBERS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
_LANES_OF = {number: _Lanes(number) for number in _LLVM_NUMBERS}


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, numba_type.llvm)


def lane_zeros(rows: int, dtype: type = np.float32) -> np.ndarray:
    """Return zeros `[rows, LANES]` whose rows start at a cache line."""
    size = rows * LANES * np.dtype(dtype).itemsize
    raw = np.zeros(size + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(rows, LANES)


class _Rows(types.Type):
    """Where an array of lanes begins; `spread` if it has one number per row for all lanes."""

    def __init__(self, lanes: _Lanes, spread: bool) -> None:
        self.lanes = lanes
        self.spread = spread
        super().__init__(name=f"rows(spread={spread}) of {lanes}")


@register_model(_Rows)
class _RowsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, numba_type.lanes.llvm.element.as_pointer())


@intrinsic
def rows(typing_context, array):  # type: ignore[no-untyped-def]
    """Return a bare reference to an array, which the caller keeps alive.

    Numba counts the references to an array wherever one is handed on, which costs more than the
    arithmetic of a row. A bare reference is one machine word.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return _Rows(_LANES_OF[array.dtype], array.ndim == 1)(array), generate


@intrinsic
def is_spread(typing_context, array):  # type: ignore[no-untyped-def]
    """Tell whether the array behind a reference has one number per row for all lanes."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.get_constant(types.boolean, array.spread)

    return types.boolean(array), generate


def _splat(builder: Any, number: Any, lanes: _Lanes) -> Any:
    if number.type != lanes.llvm.element:
        number = builder.fpext(number, lanes.llvm.element)
    undefined = ir.Constant(lanes.llvm, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    mask = ir.Constant(ir.VectorType(_INT32, LANES), None)
    return builder.shuffle_vector(first, undefined, mask)


def _lanes_of_all(*kinds: types.Type) -> Any:
    """Return the one vector type among the types of some arguments; None unless they fit it."""
    lanes = {kind for kind in kinds if isinstance(kind, _Lanes)}
    numbers = {kind for kind in kinds if not isinstance(kind, _Lanes)}
    if len(lanes) != 1:
        return None
    (found,) = lanes
    return found if numbers <= {types.float32, found.number} else None


def _as_lanes(builder: Any, lanes: _Lanes, signature: Any, arguments: Any) -> list[Any]:
    return [
        value if kind == lanes else _splat(builder, value, lanes)
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def _row_pointer(builder: Any, array: Any, row: Any, lanes: _Lanes) -> Any:
    offset = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(array, [offset], inbounds=True), lanes.llvm.as_pointer())


@intrinsic
def load(typing_context, array, row):  # type: ignore[no-untyped-def]
    """Return row `row`; where an array has one number per row, that number in all lanes."""
    lanes = array.lanes

    def one_number(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _splat(builder, builder.load(builder.gep(*arguments[:1], arguments[1:])), lanes)

    def one_row(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        value = builder.load(_row_pointer(builder, arguments[0], arguments[1], lanes))
        value.align = 4
        return value

    return lanes(array, types.intp), one_number if array.spread else one_row


@intrinsic
def store(typing_context, array, row, value):  # type: ignore[no-untyped-def]
    """Write `value`, a vector or a number for all lanes, to row `row`."""
    lanes = array.lanes

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        pointer = _row_pointer(builder, arguments[0], arguments[1], lanes)
        vector = arguments[2] if value == lanes else _splat(builder, arguments[2], lanes)
        builder.store(vector, pointer).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


def _llvm_function(name: str, count: int) -> Any:
    """Return an intrinsic that calls the LLVM function `name` on `count` vectors, or numbers."""

    def typed(*kinds: types.Type) -> Any:
        lanes = _lanes_of_all(*kinds)
        if lanes is None:
            return None

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            function_type = ir.FunctionType(lanes.llvm, [lanes.llvm] * count)
            function = cgutils.get_or_insert_function(
                builder.module, function_type, f"llvm.{name}.{lanes.suffix}"
            )
            vectors = _as_lanes(builder, lanes, signature, arguments)
            return builder.call(function, vectors, fastmath=_FLAGS)

        return lanes(*kinds), generate

    def one(typing_context, a):  # type: ignore[no-untyped-def]
        return typed(a)

    def two(typing_context, a, b):  # type: ignore[no-untyped-def]
        return typed(a, b)

    return intrinsic(one if count == 1 else two)


square_root = _llvm_function("sqrt", 1)
absolute = _llvm_function("fabs", 1)
larger = _llvm_function("maxnum", 2)
smaller = _llvm_function("minnum", 2)


@intrinsic
def product_gap(typing_context, p, q, n):  # type: ignore[no-untyped-def]
    """Return p q - n^2 rounded about once: no digit is lost where the products are nearly equal.

    n^2 is a number and what rounding took from it, which a fused multiply-add gives exactly
    (Kahan's determinant); none of this may be reordered.
    """
    lanes = _lanes_of_all(p, q, n)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = lanes.llvm
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.{lanes.suffix}"
        )
        p, q, n = arguments
        square = builder.fmul(n, n)
        minus = builder.fneg(square)
        rest = builder.call(fma, [n, n, minus])
        return builder.fsub(builder.call(fma, [p, q, minus]), rest)

    return lanes(p, q, n), generate


@intrinsic
def add_lanes(typing_context, value):  # type: ignore[no-untyped-def]
    """Return the sum over the lanes."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        number = value.llvm.element
        function_type = ir.FunctionType(number, [number, value.llvm])
        function = cgutils.get_or_insert_function(
            builder.module, function_type, f"llvm.vector.reduce.fadd.{value.suffix}"
        )
        arguments = [ir.Constant(number, 0.0), arguments[0]]
        return builder.call(function, arguments, fastmath=("reassoc",))

    return value.number(value), generate


@intrinsic
def where_positive(typing_context, test, if_positive, otherwise):  # type: ignore[no-untyped-def]
    """Return `if_positive` in the lanes where `test` is above zero, `otherwise` elsewhere."""
    lanes = _lanes_of_all(test, if_positive, otherwise)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        above, *choices = _as_lanes(builder, lanes, signature, arguments)
        above = builder.fcmp_ordered(">", above, ir.Constant(lanes.llvm, None))
        return builder.select(above, *choices)

    return lanes(test, if_positive, otherwise), generate


def _register_operator(function: Any, instruction: str) -> None:
    """Let `function` (such as `operator.add`) take two vectors, or a vector and a number."""

    @type_callable(function)
    def _(context):  # type: ignore[no-untyped-def]
        return lambda a, b: _lanes_of_all(a, b)

    def lower(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vectors = _as_lanes(builder, signature.return_type, signature, arguments)
        return getattr(builder, instruction)(*vectors, flags=_FLAGS)

    for lanes in _LANES_OF.values():
        lower_builtin(function, lanes, lanes)(lower)
        for number in _LANES_OF:
            lower_builtin(function, lanes, number)(lower)
            lower_builtin(function, number, lanes)(lower)


_register_operator(operator.add, "fadd")
_register_operator(operator.sub, "fsub")
_register_operator(operator.mul, "fmul")
_register_operator(operator.truediv, "fdiv")
