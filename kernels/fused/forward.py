"""The forward recursion of all levels: displacement by displacement, streamed row by row.

For each displacement d = (di, dj) the pixels p with p + d inside form a plane. Its rows run through
the level's layers one behind another: as soon as a filter's window of rows is full, the next layer
has a row. A window holds as many rows as the filter, each summed along the filter's columns, so
that everything but the pooled sums stays in the first cache.
"""

from stillhouse.kernels.fused.compile_cache import CachedLoop, inlined, woven
from stillhouse.kernels.fused.lanes import load, rows, store
from stillhouse.kernels.fused.rows import (
    clear,
    copy_row,
    multiply_images,
    push_row,
    relu_pool_row,
    relu_row,
)
from stillhouse.kernels.fused.tables import (
    bare_side,
    bare_sums,
    bare_tables,
    entry,
    layer_at,
    plane_of,
    side_of_row,
)


@inlined
def input_plane(tables, level, plane):  # type: ignore[no-untyped-def]
    """Return where a plane begins among the pooled sums that a level reads."""
    row = level.in_planes + (plane.di + level.band_i) * (2 * level.band_j + 1)
    return entry(tables.planes, row + plane.dj + level.band_j)


@inlined
def clear_borders(level, plane, work):  # type: ignore[no-untyped-def]
    """Put zeros on both sides of the work rows."""
    for row in (plane.row_n, plane.row_t):
        clear(work, row - level.border, level.border)
        clear(work, row + plane.length, level.border)


@inlined
def feed_row(tables, level, plane, x, y, sums, i, work):  # type: ignore[no-untyped-def]
    """Bring row i of a level's input into the windows of its first layer."""
    layer = layer_at(tables, level.first_layer)
    if layer.sees_image:
        if i < plane.bottom:
            multiply_images(plane, tables.channels, x.pixels, y.pixels, i, work)
        push_row(plane, layer, plane.row_n, layer.window_n, i, work)
        return
    start = input_plane(tables, level, plane) + (i - plane.top) * plane.length
    if i < plane.bottom:
        copy_row(sums.n, start, plane.length, work, plane.row_n)
    push_row(plane, layer, plane.row_n, layer.window_n, i, work)
    if tables.with_t:
        if i < plane.bottom:
            copy_row(sums.t, start, plane.length, work, plane.row_t)
        push_row(plane, layer, plane.row_t, layer.window_t, i, work)


@inlined
def pass_row(tables, plane, layer, r, work):  # type: ignore[no-untyped-def]
    """Bring row r, which the layer before has left in the work rows, into a layer's windows."""
    push_row(plane, layer, plane.row_n, layer.window_n, r, work)
    if tables.with_t:
        push_row(plane, layer, plane.row_t, layer.window_t, r, work)


@woven
def forward_plane(tables, level, plane, x, y, sums, work):  # type: ignore[no-untyped-def]
    """Carry one displacement plane of a level from its input into its pooled sums."""
    clear_borders(level, plane, work)
    for k in range(level.first_layer, level.end_layer):
        layer = layer_at(tables, k)
        clear(work, layer.window_n, layer.rows * plane.width)
        clear(work, layer.window_t, layer.rows * plane.width)
    for i in range(plane.top, plane.bottom + level.lag):
        feed_row(tables, level, plane, x, y, sums, i, work)
        r = i
        for k in range(level.first_layer, level.end_layer):
            layer = layer_at(tables, k)
            r -= layer.rows // 2
            if r < plane.top:
                break
            if k + 1 == level.end_layer:
                relu_pool_row(tables, plane, level, layer, x, y, r, sums, work)
                break
            if r < plane.bottom:
                relu_row(tables, plane, layer, False, x, y, r, work)
            pass_row(tables, plane, layer_at(tables, k + 1), r, work)


@woven
def forward(tables, levels, x, y, sums, selves, work):  # type: ignore[no-untyped-def]
    """Fill the pooled sums of the first `levels` levels.

    With `selves` images are paired with themselves, and x is y: the variances are then computed
    too, and are an input otherwise.
    """
    for k in range(levels):
        level = entry(tables.levels, k)
        clear(sums.n, level.out_start, level.out_end - level.out_start)
        clear(sums.t, level.out_start, level.out_end - level.out_start)
        columns = 2 * level.band_j + 1
        centre = level.band_i * columns + level.band_j
        for m in range(2 * centre + 1):
            # Displacement 0 first: it gives the variances that the others need.
            d = centre if m == 0 else m - (m <= centre)
            di, dj = d // columns - level.band_i, d % columns - level.band_j
            plane = plane_of(level, di, dj, selves and m == 0)
            forward_plane(tables, level, plane, x, y, sums, work)


@inlined
def read_out(tables, sums, n, t, a):  # type: ignore[no-untyped-def]
    """Write the means over all pixels of the last level's output to row a of n and t."""
    level = entry(tables.levels, tables.level_count - 1)
    total_n, total_t = load(sums.n, level.out_start), load(sums.t, level.out_start)
    for k in range(level.out_start + 1, level.out_end):
        total_n = total_n + load(sums.n, k)
        if tables.with_t:
            total_t = total_t + load(sums.t, k)
    store(n, a, total_n * tables.readout_scale)
    store(t, a, total_t * tables.readout_scale)


@CachedLoop
def forward_pairs(tables, x, y, sums, work, n, t):  # type: ignore[no-untyped-def]
    """Pair each image (a row) of x with those in the lanes of y: n and t `[images, LANES]`."""
    bare, bare_y, bare_s = bare_tables(tables), bare_side(y), bare_sums(sums)
    for a in range(x.pixels.shape[0]):
        bare_x = bare_side(side_of_row(x, a))
        forward(bare, tables.level_count, bare_x, bare_y, bare_s, False, rows(work))
        read_out(bare, bare_s, rows(n), rows(t), a)


@CachedLoop
def forward_lanes(tables, x, y, sums, work, n, t):  # type: ignore[no-untyped-def]
    """Pair the image in each lane of x with the one in the same lane of y: n, t `[1, LANES]`."""
    bare, bare_s = bare_tables(tables), bare_sums(sums)
    forward(bare, tables.level_count, bare_side(x), bare_side(y), bare_s, False, rows(work))
    read_out(bare, bare_s, rows(n), rows(t), 0)


@CachedLoop
def forward_selves(tables, y, sums, work, n, t):  # type: ignore[no-untyped-def]
    """Pair the images in the lanes of y with themselves: variances, and n and t `[1, LANES]`."""
    bare, bare_y, bare_s = bare_tables(tables), bare_side(y), bare_sums(sums)
    forward(bare, tables.level_count, bare_y, bare_y, bare_s, True, rows(work))
    read_out(bare, bare_s, rows(n), rows(t), 0)
