"""A convolution of few channels for processors, and its derivatives of any order.

It is linear in the image and in the window, and so are the maps that its derivatives consist of:

    y = conv(x, w),    x = image(g, w),    w = window(x, g)

`image` is the transpose of `conv` in its image and `window` that in its window; the transposes of
these two are the same three again. So each is written once, as products of matrices, and JAX is
told which belongs to which: what it would derive by itself of the derivative of a derivative takes
a quarter longer for a step of LeNet, and XLA's own convolutions twice as long.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching, mlir

try:
    from jax.extend.core import Primitive  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # Older than JAX 0.4.36.
    from jax.core import Primitive  # type: ignore[attr-defined, no-redef, unused-ignore]

# What each of these operations computes by operations of JAX: their memory is counted by it.
written_out: dict[Primitive, Callable[..., jax.Array]] = {}
# Columns of an image for each of the window, up to which products of all columns are faster.
_WIDE = 7


def narrow_conv(x: jax.Array, w: jax.Array) -> jax.Array:
    """Return the outputs of a convolution with stride 1, and no zeros around the image.

    Args:
        x: images `[n, c, h, w]`.
        w: windows `[o, c, i, j]`, of the images' type.

    Returns:
        `[n, o, h - i + 1, w - j + 1]`.
    """
    y: jax.Array = _conv.bind(x, w)
    return y


def _conv_of(x: jax.Array, w: jax.Array) -> jax.Array:
    # All rows of the window at once, and what they give is summed: fewer and larger products.
    outputs, inputs, rows, columns = w.shape
    n, height = x.shape[0], x.shape[2]
    near = _shifted(x, columns).reshape(inputs * columns, -1)
    by_row = lax.transpose(w, (2, 0, 1, 3)).reshape(rows * outputs, inputs * columns)
    products = _product(by_row, near).reshape(rows, outputs, n, height, -1)
    h = height - rows + 1
    y = _sum(
        lax.index_in_dim(lax.slice_in_dim(products, i, i + h, axis=3), i, keepdims=False)
        for i in range(rows)
    )
    return lax.transpose(y, (1, 0, 2, 3))


def _image_of(g: jax.Array, w: jax.Array) -> jax.Array:
    outputs, inputs, rows, columns = w.shape
    n, _, h, width = g.shape
    flat = lax.transpose(g, (1, 0, 2, 3)).reshape(outputs, -1)
    by_row = lax.transpose(w, (2, 1, 3, 0)).reshape(rows, inputs * columns, outputs)
    by_column = _sum(
        _with_zeros(_product(row, flat).reshape(inputs, columns, n, h, width), 3, i, rows - 1 - i)
        for i, row in enumerate(_along(by_row, 0))
    )
    x = _sum(
        _with_zeros(column, 3, j, columns - 1 - j) for j, column in enumerate(_along(by_column, 1))
    )
    return lax.transpose(x, (1, 0, 2, 3))


def _window_of(x: jax.Array, g: jax.Array) -> jax.Array:
    width, columns = x.shape[3], x.shape[3] - g.shape[3] + 1
    return _window_by_column(x, g) if width > _WIDE * columns else _window_by_line(x, g)


def _window_by_column(x: jax.Array, g: jax.Array) -> jax.Array:
    """Return the window by a product for each of its rows, with images at each of its columns."""
    inputs, outputs, h = x.shape[1], g.shape[1], g.shape[2]
    rows, columns = x.shape[2] - h + 1, x.shape[3] - g.shape[3] + 1
    near = _shifted(x, columns)
    flat = lax.transpose(g, (1, 0, 2, 3)).reshape(outputs, -1)
    products = [
        _product(flat, lax.slice_in_dim(near, i, i + h, axis=3).reshape(inputs * columns, -1), 1)
        for i in range(rows)
    ]
    by_row = jnp.stack(products, axis=1).reshape(outputs, rows, inputs, columns)
    return lax.transpose(by_row, (0, 2, 1, 3))


def _window_by_line(x: jax.Array, g: jax.Array) -> jax.Array:
    """Return the window by products of every column of g with every one of x.

    Only near ones are wanted. That is more work, but in products that are large enough to be fast.
    """
    (_, inputs, height, width), (_, outputs, h, w) = x.shape, g.shape
    flat = lax.transpose(g, (1, 3, 0, 2)).reshape(outputs * w, -1)
    lines = lax.transpose(x, (0, 2, 1, 3))
    products = [
        _product(flat, lax.slice_in_dim(lines, i, i + h, axis=1).reshape(-1, inputs * width))
        for i in range(height - h + 1)
    ]
    by_row = jnp.stack(products, axis=1).reshape(outputs, w, -1, inputs, width)
    return _along_diagonals(by_row, width - w + 1)


def _along_diagonals(products: jax.Array, columns: int) -> jax.Array:
    """Return the sums over v of `[o, v, i, c, v + j]`, `[o, c, i, j]` for each of the columns j."""
    outputs, w, rows, inputs, width = products.shape
    flat = lax.transpose(products, (0, 3, 2, 1, 4)).reshape(outputs, inputs, rows, w * width)
    # In lines that are longer by one, what was on a diagonal is below each other.
    skewed = _with_zeros(flat, 3, 0, w).reshape(outputs, inputs, rows, w, width + 1)
    return lax.slice_in_dim(skewed, 0, columns, axis=4).sum(axis=3)


def _shifted(x: jax.Array, columns: int) -> jax.Array:
    """Return images at each column of a window, `[c, columns, n, h, w - columns + 1]`.

    The channels come first: the products are over them, and for all images at once.
    """
    width = x.shape[3] - columns + 1
    x = lax.transpose(x, (1, 0, 2, 3))
    return jnp.stack([lax.slice_in_dim(x, j, j + width, axis=3) for j in range(columns)], axis=1)


def _product(a: jax.Array, b: jax.Array, axis: int = 0) -> jax.Array:
    """Return a b, summed over a's last axis and one of b, in all of float32."""
    # Where a derivative is found, the setting under which its function was traced is no more.
    return lax.dot_general(a, b, (((1,), (axis,)), ((), ())), precision=lax.Precision.HIGHEST)


def _along(x: jax.Array, axis: int) -> Iterator[jax.Array]:
    for i in range(x.shape[axis]):
        yield lax.index_in_dim(x, i, axis, keepdims=False)


def _with_zeros(x: jax.Array, axis: int, before: int, behind: int) -> jax.Array:
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = before, behind, 0
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


def _sum(parts: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(lax.add, parts)


def _primitive(
    name: str, function: Callable[[jax.Array, jax.Array], jax.Array], *, each: bool
) -> Primitive:
    """Declare a map of two arrays to JAX; of which `each` image gives an output of its own."""
    primitive = Primitive(f"narrow_conv_{name}")
    primitive.def_impl(jax.jit(function))

    def shape_of(a: Any, b: Any) -> Any:
        out = jax.eval_shape(function, *(jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b)))
        return jax.core.ShapedArray(out.shape, out.dtype)

    def batch(arrays: Sequence[jax.Array], axes: Sequence[int | None]) -> tuple[jax.Array, int]:
        (a, b), (a_axis, b_axis) = arrays, axes
        # Images of several batches are those of one, where all meet the same window.
        if not each or a_axis is None or b_axis is not None:
            return jax.vmap(function, tuple(axes))(a, b), 0
        a = jnp.moveaxis(a, a_axis, 0)
        y = primitive.bind(a.reshape(-1, *a.shape[2:]), b)
        return y.reshape(*a.shape[:2], *y.shape[1:]), 0

    written_out[primitive] = function
    primitive.def_abstract_eval(shape_of)
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    batching.primitive_batchers[primitive] = batch
    return primitive


_conv = _primitive("outputs", _conv_of, each=True)
_image = _primitive("image", _image_of, each=True)
_window = _primitive("window", _window_of, each=False)

ad.defbilinear(_conv, lambda g, x, w: _image.bind(g, w), lambda g, x, w: _window.bind(x, g))
ad.defbilinear(_image, lambda x, g, w: _conv.bind(x, w), lambda x, g, w: _window.bind(x, g))
ad.defbilinear(_window, lambda w, x, g: _image.bind(g, w), lambda w, x, g: _conv.bind(x, w))
