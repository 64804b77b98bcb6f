"""The arguments of the compiled functions, grouped.

Python hands over tuples of arrays; the loops work on the same tuples of bare references, which the
functions `bare_...` make of them. What a loop reads at every pixel is taken out of the tables of
`records` once, as a `Layer` and a `Plane`: no store can then make the compiler read it again.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic, models, register_model

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import rows


class _Table(types.Type):
    """Where a one-dimensional array of numbers or records begins."""

    def __init__(self, entry: types.Type) -> None:
        self.entry = entry
        super().__init__(name=f"table({entry})")


@register_model(_Table)
class _TableModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        entry = manager.lookup(numba_type.entry).get_data_type()
        super().__init__(manager, numba_type, entry.as_pointer())


@intrinsic
def table(typing_context, array):  # type: ignore[no-untyped-def]
    """Return a bare reference to an array of numbers or records, which the caller keeps alive."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return _Table(array.dtype)(array), generate


@intrinsic
def entry(typing_context, array, k):  # type: ignore[no-untyped-def]
    """Return entry k of a table."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        pointer = builder.gep(arguments[0], [arguments[1]])
        return pointer if isinstance(array.entry, types.Record) else builder.load(pointer)

    return array.entry(array, types.intp), generate


class Tables(NamedTuple):
    """A `Plan` as the loops read it.

    Attributes:
        levels, layers, planes, phases: tables, see `records.Plan`.
        level_count: how many levels there are.
        channels: channels of an image.
        with_t: whether t is wanted (NTK) or n alone (NNGP).
        readout_scale: factor of the sum over the last level's output.
    """

    levels: Any
    layers: Any
    planes: Any
    phases: Any
    level_count: int
    channels: int
    with_t: bool
    readout_scale: np.float32


class Layer(NamedTuple):
    """A `records.LAYER` record."""

    rows: int
    columns: int
    scale: np.float32
    bias: np.float32
    sees_image: bool
    rectified: bool
    maps: int
    window_n: int
    window_t: int
    kept_n: int
    kept_t: int
    kept_rows: int
    back_n: int
    back_t: int


class Plane(NamedTuple):
    """The pixels p of a level for which p + d lies inside, for one displacement d = (di, dj).

    Attributes:
        di, dj: the displacement.
        top, bottom: the first row and the one after the last.
        first, length: the first column, and how many.
        width: of the level's images.
        shift: d as a difference of pixel numbers.
        own: whether images meet themselves here: both sides are the same, and d = 0.
        row_n, row_t: work rows that hold one row of n and t, `first` first.
    """

    di: int
    dj: int
    top: int
    bottom: int
    first: int
    length: int
    width: int
    shift: int
    own: bool
    row_n: int
    row_t: int


class Side(NamedTuple):
    """One side of the pairs: one image for all lanes, or an image per lane.

    Attributes:
        pixels: rows, columns, channels in one dimension.
        variances: the variance maps of all layers, one after the other.
        inverses: one over the square roots of the same, and 0 where there is no variance.
    """

    pixels: Any
    variances: Any
    inverses: Any


class Sums(NamedTuple):
    """The pooled sums of all levels, or their cotangents."""

    n: Any
    t: Any


class SideGradient(NamedTuple):
    """Cotangents of one side, a number per lane.

    Attributes:
        pixels: of the image.
        deviations: of the standard deviations, times the standard deviations (both sides' terms
            are equal in this form, and free of divisions).
        wanted: whether to compute them at all.
    """

    pixels: Any
    deviations: Any
    wanted: bool


@inlined
def layer_at(tables, k):  # type: ignore[no-untyped-def]
    """Return layer k."""
    record = entry(tables.layers, k)
    return Layer(
        record.rows,
        record.columns,
        record.scale,
        record.bias,
        record.sees_image,
        record.rectified,
        record.maps,
        record.window_n,
        record.window_t,
        record.kept_n,
        record.kept_t,
        record.kept_rows,
        record.back_n,
        record.back_t,
    )


@inlined
def plane_of(level, di, dj, own):  # type: ignore[no-untyped-def]
    """Return the plane of a displacement."""
    return Plane(
        di,
        dj,
        max(0, -di),
        min(level.height, level.height - di),
        max(0, -dj),
        level.width - abs(dj),
        level.width,
        di * level.width + dj,
        own,
        level.row_n,
        level.row_t,
    )


@inlined
def bare_tables(tables):  # type: ignore[no-untyped-def]
    """Return tables of bare references."""
    return Tables(
        table(tables.levels),
        table(tables.layers),
        table(tables.planes),
        table(tables.phases),
        tables.level_count,
        tables.channels,
        tables.with_t,
        tables.readout_scale,
    )


@inlined
def bare_side(side):  # type: ignore[no-untyped-def]
    """Return a side of bare references."""
    return Side(rows(side.pixels), rows(side.variances), rows(side.inverses))


@inlined
def side_of_row(side, a):  # type: ignore[no-untyped-def]
    """Return image a of a side whose images are rows, as one image for all lanes."""
    return Side(side.pixels[a], side.variances[a], side.inverses[a])


@inlined
def bare_sums(sums):  # type: ignore[no-untyped-def]
    """Return sums of bare references."""
    return Sums(rows(sums.n), rows(sums.t))


@inlined
def bare_gradient(gradient):  # type: ignore[no-untyped-def]
    """Return a gradient of bare references."""
    return SideGradient(rows(gradient.pixels), rows(gradient.deviations), gradient.wanted)
