"""A convolution of few channels for processors, and its derivatives of any order.

It is linear in the image and in the window, and so are the maps that its derivatives consist of:

    y = conv(x, w),    x = image(g, w),    w = window(x, g)

`image` is the transpose of `conv` in its image and `window` that in its window; the transposes of
these two are the same three again. So each is written once, as products of matrices, and JAX is
told which belongs to which: what it would derive by itself of the derivative of a derivative takes
a quarter longer for a step of LeNet, and XLA's own convolutions twice as long.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching, mlir

try:
    from jax.extend.core import Primitive
except ImportError:  # Older than JAX 0.4.36.
    from jax.core import Primitive


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
    n, _, height, _ = x.shape
    near = _shifted(x, columns)
    by_row = w.transpose(2, 0, 1, 3).reshape(rows * outputs, inputs * columns)
    products = by_row @ near.reshape(n, inputs * columns, -1)
    products = products.reshape(n, rows, outputs, height, -1)
    h = height - rows + 1
    return _sum(products[:, i, :, i : i + h] for i in range(rows))


def _image_of(g: jax.Array, w: jax.Array) -> jax.Array:
    outputs, inputs, rows, columns = w.shape
    n, _, h, width = g.shape
    flat = g.reshape(n, outputs, -1)
    products = (w[:, :, i].reshape(outputs, -1).T @ flat for i in range(rows))
    shape = (n, inputs, columns, h, width)
    by_column = _sum(
        _with_zeros(product.reshape(shape), 3, i, rows - 1 - i)
        for i, product in enumerate(products)
    )
    return _sum(_with_zeros(by_column[:, :, j], 3, j, columns - 1 - j) for j in range(columns))


def _window_of(x: jax.Array, g: jax.Array) -> jax.Array:
    n, inputs, height, width = x.shape
    _, outputs, h, w = g.shape
    rows, columns = height - h + 1, width - w + 1
    near = _shifted(x, columns)
    flat = g.reshape(n, outputs, -1)
    products = [
        jnp.einsum("nop,nqp->oq", flat, near[:, :, :, i : i + h].reshape(n, inputs * columns, -1))
        for i in range(rows)
    ]
    return jnp.stack(products, axis=1).reshape(outputs, rows, inputs, columns).swapaxes(1, 2)


def _shifted(x: jax.Array, columns: int) -> jax.Array:
    """Return images at each column of a window, `[n, c, columns, h, w - columns + 1]`."""
    width = x.shape[3] - columns + 1
    return jnp.stack([x[..., j : j + width] for j in range(columns)], axis=2)


def _with_zeros(x: jax.Array, axis: int, before: int, behind: int) -> jax.Array:
    widths = [(0, 0)] * x.ndim
    widths[axis] = before, behind
    return jnp.pad(x, widths)


def _sum(parts: Any) -> jax.Array:
    total: jax.Array = functools.reduce(jnp.add, parts)
    return total


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
