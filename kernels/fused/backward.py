"""The vjp of all levels: forward again row by row, then back as soon as a row's turn comes.

What the last layer has between convolution and ReLU meets its cotangent at once; the layers before
it keep those rows until the cotangent has come through the filters behind them, which is as many
rows later as those filters reach down and back. Nothing but the pooled sums and their cotangents is
ever stored whole.
"""

from stillhouse.kernels.fused.compile_cache import CachedLoop, inlined, woven
from stillhouse.kernels.fused.forward import (
    clear_borders,
    feed_row,
    forward,
    input_plane,
    pass_row,
)
from stillhouse.kernels.fused.gradient_rows import (
    add_image_gradient,
    gather_cells,
    gather_row,
    relu_gradient_row,
    variance_gradient_row,
)
from stillhouse.kernels.fused.lanes import add_lanes, load, rows, store
from stillhouse.kernels.fused.rows import clear, push_row, relu_row
from stillhouse.kernels.fused.tables import (
    bare_gradient,
    bare_side,
    bare_sums,
    bare_tables,
    entry,
    layer_at,
    plane_of,
    side_of_row,
)


@inlined
def forward_rows(tables, level, plane, x, y, sums, i, work):  # type: ignore[no-untyped-def]
    """Advance by row i of the input; all layers but the last keep what enters their ReLU."""
    feed_row(tables, level, plane, x, y, sums, i, work)
    r = i
    for k in range(level.first_layer, level.end_layer - 1):
        layer = layer_at(tables, k)
        r -= layer.rows // 2
        if r < plane.top:
            break
        if r < plane.bottom:
            relu_row(tables, plane, layer, True, x, y, r, work)
        pass_row(tables, plane, layer_at(tables, k + 1), r, work)


@inlined
def backward_rows(  # type: ignore[no-untyped-def]
    tables, level, plane, x, y, cotangents, x_gradient, y_gradient, r, work
):
    """Bring the cotangent of row r of the last layer as far back as it goes.

    Returns the row of the input whose cotangent is complete.
    """
    for k in range(level.end_layer - 1, level.first_layer - 1, -1):
        if r < plane.top:
            break
        layer = layer_at(tables, k)
        is_last = k + 1 == level.end_layer
        if r < plane.bottom:
            if is_last:
                gather_cells(tables, plane, level, r, cotangents, work)
            else:
                behind = layer_at(tables, k + 1)
                gather_row(plane, behind, behind.back_n, work, work, plane.row_n)
                if tables.with_t:
                    gather_row(plane, behind, behind.back_t, work, work, plane.row_t)
            if plane.own:
                variance_gradient_row(tables, plane, layer, y, r, work, y_gradient)
            else:
                relu_gradient_row(
                    tables, plane, layer, not is_last, x, y, r, work, x_gradient, y_gradient
                )
        push_row(plane, layer, plane.row_n, layer.back_n, r, work)
        if tables.with_t and not layer.sees_image:
            push_row(plane, layer, plane.row_t, layer.back_t, r, work)
        r -= layer.rows // 2
    return r


@inlined
def give_to_input(  # type: ignore[no-untyped-def]
    tables, level, plane, x, y, cotangents, x_gradient, y_gradient, r, work
):
    """Hand row r of the cotangent of the input to the images, or to the level before."""
    layer = layer_at(tables, level.first_layer)
    if not layer.sees_image:
        start = input_plane(tables, level, plane) + (r - plane.top) * plane.length
        gather_row(plane, layer, layer.back_n, work, cotangents.n, start)
        if tables.with_t:
            gather_row(plane, layer, layer.back_t, work, cotangents.t, start)
        return
    g, channels, count = plane.row_n, tables.channels, plane.length
    gather_row(plane, layer, layer.back_n, work, work, g)
    p = r * plane.width + plane.first
    q = p + plane.shift
    if y_gradient.wanted:
        add_image_gradient(g, x.pixels, p, q, channels, count, work, y_gradient)
    if x_gradient.wanted:
        add_image_gradient(g, y.pixels, q, p, channels, count, work, x_gradient)


@woven
def backward_plane(  # type: ignore[no-untyped-def]
    tables, level, plane, x, y, sums, cotangents, x_gradient, y_gradient, work
):
    """Carry the cotangents of a level's pooled sums back through one displacement plane."""
    clear_borders(level, plane, work)
    for k in range(level.first_layer, level.end_layer):
        layer = layer_at(tables, k)
        for window in (layer.window_n, layer.window_t, layer.back_n, layer.back_t):
            clear(work, window, layer.rows * plane.width)
    for i in range(plane.top, plane.bottom + 2 * level.lag):
        # Where images meet themselves the ReLU is linear, and nothing need be known of the rows.
        if i < plane.bottom + level.lag and not plane.own:
            forward_rows(tables, level, plane, x, y, sums, i, work)
        r = backward_rows(
            tables, level, plane, x, y, cotangents, x_gradient, y_gradient, i - level.lag, work
        )
        if plane.top <= r < plane.bottom:
            give_to_input(tables, level, plane, x, y, cotangents, x_gradient, y_gradient, r, work)


@woven
def backward(  # type: ignore[no-untyped-def]
    tables, x, y, sums, cotangents, x_gradient, y_gradient, selves, work
):
    """Carry the cotangents of the last level's output back to images and deviations.

    The pooled sums of all levels but the last must stand in `sums`. With `selves` images are paired
    with themselves, and have one gradient, given as that of both sides.
    """
    for k in range(tables.level_count - 1, -1, -1):
        level = entry(tables.levels, k)
        columns = 2 * level.band_j + 1
        centre = level.band_i * columns + level.band_j
        for m in range(2 * centre + 1):
            # Displacement 0 last: it takes up what the others have left for the variances.
            d = centre if m == 2 * centre else m + (m >= centre)
            di, dj = d // columns - level.band_i, d % columns - level.band_j
            plane = plane_of(level, di, dj, selves and m == 2 * centre)
            backward_plane(
                tables, level, plane, x, y, sums, cotangents, x_gradient, y_gradient, work
            )


@inlined
def spread_cotangents(tables, n, t, a, cotangents):  # type: ignore[no-untyped-def]
    """Give every pixel of the last level's output its share of row a of n and t."""
    level = entry(tables.levels, tables.level_count - 1)
    share_n = load(n, a) * tables.readout_scale
    share_t = load(t, a) * tables.readout_scale
    for k in range(level.out_start, level.out_end):
        store(cotangents.n, k, share_n)
        store(cotangents.t, k, share_t)


@CachedLoop
def backward_pairs(  # type: ignore[no-untyped-def]
    tables,
    x,
    y,
    sums,
    cotangents,
    work,
    n,
    t,
    x_gradient,
    y_gradient,
    pixel_gradients,
    deviation_gradients,
):
    """Compute the vjp of `forward_pairs` for the cotangents n and t `[images, LANES]`.

    What the images of y get is added to `y_gradient`. `x_gradient` is a buffer; its sums over the
    lanes are written to `pixel_gradients[a]` and `deviation_gradients[a]`.
    """
    bare, bare_y, bare_s, bare_c = (
        bare_tables(tables),
        bare_side(y),
        bare_sums(sums),
        bare_sums(cotangents),
    )
    bare_gx, bare_gy = bare_gradient(x_gradient), bare_gradient(y_gradient)
    for a in range(x.pixels.shape[0]):
        bare_x = bare_side(side_of_row(x, a))
        forward(bare, tables.level_count - 1, bare_x, bare_y, bare_s, False, rows(work))
        spread_cotangents(bare, rows(n), rows(t), a, bare_c)
        if x_gradient.wanted:
            clear(bare_gx.pixels, 0, x.pixels.shape[1])
            clear(bare_gx.deviations, 0, x.variances.shape[1])
        backward(bare, bare_x, bare_y, bare_s, bare_c, bare_gx, bare_gy, False, rows(work))
        if x_gradient.wanted:
            for i in range(x.pixels.shape[1]):
                pixel_gradients[a, i] = add_lanes(load(bare_gx.pixels, i))
            for i in range(x.variances.shape[1]):
                deviation_gradients[a, i] = add_lanes(load(bare_gx.deviations, i))


@CachedLoop
def backward_lanes(  # type: ignore[no-untyped-def]
    tables, x, y, sums, cotangents, work, n, t, x_gradient, y_gradient
):
    """Add the vjp of `forward_lanes` for the cotangents n and t `[1, LANES]` to both gradients."""
    bare, bare_x, bare_y = bare_tables(tables), bare_side(x), bare_side(y)
    bare_s, bare_c = bare_sums(sums), bare_sums(cotangents)
    bare_gx, bare_gy = bare_gradient(x_gradient), bare_gradient(y_gradient)
    forward(bare, tables.level_count - 1, bare_x, bare_y, bare_s, False, rows(work))
    spread_cotangents(bare, rows(n), rows(t), 0, bare_c)
    backward(bare, bare_x, bare_y, bare_s, bare_c, bare_gx, bare_gy, False, rows(work))


@CachedLoop
def backward_selves(tables, y, sums, cotangents, work, n, t, gradient):  # type: ignore[no-untyped-def]
    """Compute the vjp of `forward_selves` for the cotangents n and t `[1, LANES]`.

    `gradient.deviations` holds what the pairs have collected, and is used up on the way.
    """
    bare, bare_y, bare_s = bare_tables(tables), bare_side(y), bare_sums(sums)
    bare_c, bare_g = bare_sums(cotangents), bare_gradient(gradient)
    forward(bare, tables.level_count - 1, bare_y, bare_y, bare_s, True, rows(work))
    spread_cotangents(bare, rows(n), rows(t), 0, bare_c)
    backward(bare, bare_y, bare_y, bare_s, bare_c, bare_g, bare_g, True, rows(work))
