"""One row of pixels of one displacement plane, through each step of the vjp.

The lines of `rows` in reverse; Gn and Gt are the cotangents of n' and t':

    pool    g[d][p] = G[D][p // k]
    ReLU    g_n = Gn k0 + Gt t / (2 pi s2),  g_t = Gt k0,  where s2 = sqrt(P Q) sqrt(1 - c^2)
            g_P = (Gn s2 - Gt t n / s2) / (4 pi P), and g_Q the same over Q
    conv    g_n = W^2 / |window| box(g_n' + g_t'),  g_t = W^2 / |window| box(g_t')
    image   g_x'[p + d, c] += (1/C) g[d][p] x[p, c], and with the sides exchanged

The cotangents of a row stand in the work rows n and t.
"""

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import load, store
from stillhouse.kernels.fused.relu import dual_relu_gradient
from stillhouse.kernels.fused.rows import (
    HALF,
    add_rows,
    cells_of,
    clear,
    convolve,
    row_of_cells,
)


@inlined
def gather_cells(tables, plane, level, r, cotangents, work):  # type: ignore[no-untyped-def]
    """Pool, row r: fetch the cotangents from those of the pooled sums."""
    clear(work, plane.row_n, plane.length)
    clear(work, plane.row_t, plane.length)
    row, place = row_of_cells(plane, level, r)
    if place < 0:
        return
    k = level.pool_j
    for c in range(k):
        start, end, out = cells_of(tables, plane, level, row, place, c)
        for cell in range(start, end):
            j = cell * k + c - plane.first
            store(work, plane.row_n + j, load(cotangents.n, out + cell))
            if tables.with_t:
                store(work, plane.row_t + j, load(cotangents.t, out + cell))


@inlined
def gather_row(plane, layer, window, work, target, start):  # type: ignore[no-untyped-def]
    """Conv: on the valid pixels box is its own adjoint."""
    for j in range(plane.length):
        g = add_rows(plane, layer, window + j, work) * layer.scale
        store(target, start + j, g)


@inlined
def relu_gradient_row(  # type: ignore[no-untyped-def]
    tables, plane, layer, keep, x, y, r, work, x_gradient, y_gradient
):
    """ReLU, row r: replace Gn and Gt by g_n + g_t and g_t, which is what the filter gets.

    The deviations of both sides get Gn s2 / (2 pi) - Gt t n / (2 pi s2) over themselves; they are
    divided by in `variance_gradient_row`, once for all pairs. n and t are those that `relu_row` has
    kept, or come from the windows if there is no `keep`.
    """
    p = layer.maps + r * plane.width + plane.first
    q = p + plane.shift
    kept = r % layer.kept_rows * plane.width
    for j in range(plane.length):
        g_n = load(work, plane.row_n + j)
        if not layer.rectified:
            if tables.with_t:
                store(work, plane.row_n + j, g_n + load(work, plane.row_t + j))
            continue
        if keep:
            n = load(work, layer.kept_n + kept + j)
            t = n
            if tables.with_t and not layer.sees_image:
                t = load(work, layer.kept_t + kept + j)
        else:
            n, t = convolve(tables, plane, layer, j, work)
        variances = load(x.variances, p + j), load(y.variances, q + j)
        inverse = load(x.inverses, p + j) * load(y.inverses, q + j)
        k0, regular, singular = dual_relu_gradient(n, variances[0], variances[1], inverse)
        to_deviations = g_n * regular
        g_n = g_n * k0
        if tables.with_t:
            g_t = load(work, plane.row_t + j)
            correction = g_t * t * singular
            g_t = g_t * k0
            g_n = g_n + correction + g_t
            to_deviations = to_deviations - correction * n
            store(work, plane.row_t + j, g_t)
        store(work, plane.row_n + j, g_n)
        if x_gradient.wanted:
            sofar = load(x_gradient.deviations, p + j)
            store(x_gradient.deviations, p + j, sofar + to_deviations)
        if y_gradient.wanted:
            sofar = load(y_gradient.deviations, q + j)
            store(y_gradient.deviations, q + j, sofar + to_deviations)


@inlined
def variance_gradient_row(  # type: ignore[no-untyped-def]
    tables, plane, layer, y, r, work, y_gradient
):
    """`relu_gradient_row` of images with themselves: n' = n / 2, t' = t / 2, and n = V exactly.

    So n takes up what all pairs and all other displacements have collected for the deviations:
    with f = sqrt(V) df/d(sqrt V), df/dV = f / (2 V).
    """
    q = layer.maps + r * plane.width + plane.first
    for j in range(plane.length):
        g_n = load(work, plane.row_n + j)
        g_t = load(work, plane.row_t + j)
        if layer.rectified:
            inverse = load(y.inverses, q + j)
            collected = load(y_gradient.deviations, q + j) * inverse * inverse
            g_n = (g_n + collected) * HALF
            g_t = g_t * HALF
        if tables.with_t:
            g_n = g_n + g_t
            store(work, plane.row_t + j, g_t)
        store(work, plane.row_n + j, g_n)


@inlined
def add_image_gradient(g, x, p, q, channels, count, work, gradient):  # type: ignore[no-untyped-def]
    """Image: add g[d][p] x[p, c] for images x whose row starts at pixel p; row g is in `work`."""
    for c in range(channels):
        a, b = p * channels + c, q * channels + c
        for j in range(count):
            sofar = load(gradient.pixels, b + j * channels)
            share = load(work, g + j) * load(x, a + j * channels)
            store(gradient.pixels, b + j * channels, sofar + share)
