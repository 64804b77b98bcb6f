"""One row of pixels of one displacement plane, through each step of the forward recursion.

Every function is one line of the recursion for n and t (K[d][p] for the pixels p of a row):

    image   n[d][p] = (1/C) sum_c x[p, c] x'[p + d, c],  t = 0
    conv    n' = W^2 / |window| sum_a n[d][p + a] + b^2,
            t' = W^2 / |window| sum_a t[d][p + a] + n'
    ReLU    n' = sqrt(P Q) k1(c),  t' = t k0(c),  where c = n / sqrt(P Q), P = V[p], Q = V'[p + d]
    pool    the entry of p with displacement d goes to cell p // k with D = (p + d) // k - p // k

`plane`, `layer` and the like are those of `tables`, `level` is one of `records`; `work` is an
array of lanes in which all rows live. All functions are inlined into the loops that call them.
"""

import numpy as np

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import load, square_root, store, where_positive
from stillhouse.kernels.fused.relu import dual_relu
from stillhouse.kernels.fused.tables import entry

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@inlined
def clear(array, start, count):  # type: ignore[no-untyped-def]
    """Set `count` rows of lanes to zero."""
    for k in range(start, start + count):
        store(array, k, ZERO)


@inlined
def multiply_images(plane, channels, x, y, i, work):  # type: ignore[no-untyped-def]
    """Image, row i: sum_c x[p, c] x'[p + d, c]; the division by C is left to the first filter."""
    p = (i * plane.width + plane.first) * channels
    q = p + plane.shift * channels
    if channels == 3:
        for j in range(plane.length):
            a, b = p + 3 * j, q + 3 * j
            n = load(x, a) * load(y, b) + load(x, a + 1) * load(y, b + 1)
            store(work, plane.row_n + j, n + load(x, a + 2) * load(y, b + 2))
    else:
        for j in range(plane.length):
            a, b = p + channels * j, q + channels * j
            n = load(x, a) * load(y, b)
            for c in range(1, channels):
                n = n + load(x, a + c) * load(y, b + c)
            store(work, plane.row_n + j, n)


@inlined
def copy_row(source, start, count, work, row):  # type: ignore[no-untyped-def]
    """Fetch a row of pooled sums."""
    for j in range(count):
        store(work, row + j, load(source, start + j))


@inlined
def add_columns(work, row, columns, count, window):  # type: ignore[no-untyped-def]
    """Sum a row along the filter's columns into a row of a window; zeros stand on both sides."""
    if columns == 3:
        for j in range(count):
            here = row + j
            total = load(work, here - 1) + load(work, here) + load(work, here + 1)
            store(work, window + j, total)
    else:
        for j in range(count):
            here = row + j - columns // 2
            total = load(work, here)
            for b in range(1, columns):
                total = total + load(work, here + b)
            store(work, window + j, total)


@inlined
def push_row(plane, layer, row, window, r, work):  # type: ignore[no-untyped-def]
    """Put row r, summed along the filter's columns, into a window; zeros below the last row."""
    slot = window + r % layer.rows * plane.width
    if r < plane.bottom:
        add_columns(work, row, layer.columns, plane.length, slot)
    else:
        clear(work, slot, plane.length)


@inlined
def add_rows(plane, layer, window, work):  # type: ignore[no-untyped-def]
    """Return the sum of one column of a window, the filter's rows long."""
    total = load(work, window)
    if layer.rows == 3:
        return total + load(work, window + plane.width) + load(work, window + 2 * plane.width)
    for a in range(1, layer.rows):
        total = total + load(work, window + a * plane.width)
    return total


@inlined
def convolve(tables, plane, layer, j, work):  # type: ignore[no-untyped-def]
    """Conv: return n and t of the row's column j."""
    n = add_rows(plane, layer, layer.window_n + j, work) * layer.scale + layer.bias
    if layer.sees_image or not tables.with_t:
        return n, n
    return n, add_rows(plane, layer, layer.window_t + j, work) * layer.scale + n


@inlined
def rectify(plane, layer, n, t, x, p, y, q):  # type: ignore[no-untyped-def]
    """ReLU: return n' and t'; p and q are where the variances stand.

    Images that meet themselves have n = V, which is made known here, c = 1 and k0 = k1 = 1/2.
    """
    if not layer.rectified:
        return n, t
    if plane.own:
        store(y.variances, q, n)
        store(y.inverses, q, where_positive(n, ONE / square_root(n), ZERO))
        return n * HALF, t * HALF
    inverse = load(x.inverses, p) * load(y.inverses, q)
    k0, rectified = dual_relu(n, load(x.variances, p), load(y.variances, q), inverse)
    return rectified, t * k0


@inlined
def relu_row(tables, plane, layer, keep, x, y, r, work):  # type: ignore[no-untyped-def]
    """Conv and ReLU, row r, from the layer's windows to the work rows.

    With `keep` what enters the ReLU is kept for the vjp.
    """
    p = layer.maps + r * plane.width + plane.first
    q = p + plane.shift
    kept = r % layer.kept_rows * plane.width
    for j in range(plane.length):
        n, t = convolve(tables, plane, layer, j, work)
        if keep:
            store(work, layer.kept_n + kept + j, n)
            if tables.with_t and not layer.sees_image:
                store(work, layer.kept_t + kept + j, t)
        n, t = rectify(plane, layer, n, t, x, p + j, y, q + j)
        store(work, plane.row_n + j, n)
        if tables.with_t:
            store(work, plane.row_t + j, t)


@inlined
def row_of_cells(plane, level, r):  # type: ignore[no-untyped-def]
    """Return the row of cells that takes up row r, and where `planes` lists its planes.

    That is the place of displacement (D, 0) along the columns; -1 if no cell takes the row up.
    """
    cell = r // level.pool_i
    shift = (r + plane.di) // level.pool_i - cell
    if max(cell, cell + shift) >= level.out_height or abs(shift) > level.out_i:
        return 0, -1
    place = level.out_planes + (shift + level.out_i) * (2 * level.out_j + 1) + level.out_j
    return cell - max(0, -shift), place


@inlined
def cells_of(tables, plane, level, row, place, c):  # type: ignore[no-untyped-def]
    """Return the first and the end of the cells that take up columns j with j % k = c.

    And where among the pooled sums cell 0 of their row stands, or would stand.
    """
    phase = entry(tables.phases, level.phases + (plane.dj + level.band_j) * level.pool_j + c)
    start = entry(tables.planes, place + phase.shift)
    start += row * (level.out_width - abs(phase.shift)) - max(0, -phase.shift)
    return phase.start, phase.end, start


@inlined
def relu_pool_row(tables, plane, level, layer, x, y, r, sums, work):  # type: ignore[no-untyped-def]
    """Conv, ReLU and pool, row r: only the columns that a cell takes up."""
    row, place = row_of_cells(plane, level, r)
    if place < 0:
        return
    p = layer.maps + r * plane.width
    q = p + plane.shift
    k = level.pool_j
    for c in range(k):
        start, end, out = cells_of(tables, plane, level, row, place, c)
        for cell in range(start, end):
            j = cell * k + c
            n, t = convolve(tables, plane, layer, j - plane.first, work)
            n, t = rectify(plane, layer, n, t, x, p + j, y, q + j)
            store(sums.n, out + cell, load(sums.n, out + cell) + n)
            if tables.with_t:
                store(sums.t, out + cell, load(sums.t, out + cell) + t)
