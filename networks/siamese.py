"""Siamese augmentation: differentiable changes of images, the same for batches to be compared."""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from stillhouse.data.siamese import KINDS, Draw, SiameseAugmentation

Array = jax.Array | np.ndarray
Number = jax.Array | float
# As published: shares of an image's height and width, factors, degrees.
_CROP, _CUTOUT, _SCALE, _ROTATE = 0.125, 0.5, 1.2, 15.0
_BRIGHTNESS, _SATURATION, _CONTRAST = 1.0, 2.0, 0.5


def augmented(images: Array, kind: Array, numbers: Array) -> jax.Array:
    """Return images as a draw changes them, of the same shape; differentiable by the images.

    What comes from beyond the edges is zero: the mean, where images are standardised.

    Args:
        images: `[n, h, w, c]`.
        kind: `Draw.kind`, the number of one of `KINDS`.
        numbers: `Draw.numbers`, `[1, 3]` for all images alike or `[n, 3]`.

    References:
        Zhao, Bilen. Dataset Condensation with Differentiable Siamese Augmentation. ICML 2021,
        https://arxiv.org/abs/2102.08259
    """
    alike = len(numbers) == 1
    numbers = jnp.asarray(numbers)
    change = jax.vmap(_changed, in_axes=(0, None if alike else 0, None))
    return change(jnp.asarray(images), numbers[0] if alike else numbers, jnp.asarray(kind))


def augmented_batches(
    batches: Iterator[tuple[Array, Array]], augmentation: SiameseAugmentation, seed: int
) -> Iterator[tuple[Array, Array]]:
    """Yield batches whose images are changed, each for itself; targets stay as they are.

    Args:
        batches: images `[n, h, w, c]` and targets `[n, k]`.
        augmentation: what may happen to a batch.
        seed: what does is a function of it and of the number of the batch.
    """
    for number, (images, targets) in enumerate(batches):
        draw = augmentation.draw(seed, "batch", number, images=len(images))
        yield _compiled(images, draw.kind, draw.numbers), targets


def augmented_by(images: Array, draw: Draw) -> jax.Array:
    """Return images as a draw changes them, by a compiled `augmented`."""
    return _compiled(images, draw.kind, draw.numbers)


@jax.jit
def augmented_vjp(gradient: Array, kind: Array, numbers: Array) -> jax.Array:
    """Return the gradient by images from that by the images as a draw changed them.

    A change is affine in the images, so that it does not matter what these are.

    Args:
        gradient: `[n, h, w, c]`.
        kind: as of `augmented`.
        numbers: as of `augmented`.
    """
    gradient = jnp.asarray(gradient)
    _, pull_back = jax.vjp(lambda x: augmented(x, kind, numbers), jnp.zeros_like(gradient))
    (by_images,) = pull_back(gradient)
    return by_images


_compiled = jax.jit(augmented)


def _changed(image: jax.Array, u: jax.Array, kind: jax.Array) -> jax.Array:
    """Return one image `[h, w, c]`, changed as three uniform numbers say."""
    return jax.lax.switch(kind, [functools.partial(_CHANGES[name], u) for name in KINDS], image)


def _color(u: jax.Array, x: jax.Array) -> jax.Array:
    x = x + (u[0] - 0.5) * _BRIGHTNESS
    grey = x.mean(axis=2, keepdims=True)
    x = (x - grey) * (u[1] * _SATURATION) + grey
    mean = x.mean()
    return (x - mean) * (u[2] + _CONTRAST) + mean


def _crop(u: jax.Array, x: jax.Array) -> jax.Array:
    """Shift by whole pixels."""
    most = [int(n * _CROP + 0.5) for n in x.shape[:2]]
    padded = jnp.pad(x, [*((n, n) for n in most), (0, 0)])
    corner = [_below(u[i], 2 * n + 1) for i, n in enumerate(most)]
    return jax.lax.dynamic_slice(padded, (*corner, jnp.int32(0)), x.shape)


def _cutout(u: jax.Array, x: jax.Array) -> jax.Array:
    """Put zeros into a rectangle of half the height and width, which may reach over the edge."""
    spans = []
    for u_axis, n in zip(u, x.shape[:2], strict=False):
        size = int(n * _CUTOUT + 0.5)
        first = _below(u_axis, n + 1 - size % 2) - size // 2
        places = jnp.arange(n)
        spans.append((places >= first) & (places < first + size))
    return jnp.where(spans[0][:, None, None] & spans[1][:, None], 0.0, x)


def _flip(u: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(u[0] < 0.5, x[:, ::-1], x)


def _scale(u: jax.Array, x: jax.Array) -> jax.Array:
    """Stretch height and width, each by a factor of its own."""
    down, right = (u[i] * (_SCALE - 1 / _SCALE) + 1 / _SCALE for i in range(2))
    return _resampled(x, down, 0.0, 0.0, right)


def _rotate(u: jax.Array, x: jax.Array) -> jax.Array:
    angle = (2 * u[0] - 1) * np.deg2rad(_ROTATE)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return _resampled(x, cosine, sine, -sine, cosine)


def _resampled(x: jax.Array, a: Number, b: Number, c: Number, d: Number) -> jax.Array:
    """Return the image whose pixel (i, j), from the centre, is that at (a i + b j, c i + d j).

    Between pixels it is bilinear.
    """
    h, w, _ = x.shape
    i = (jnp.arange(h) - (h - 1) / 2)[:, None]
    j = (jnp.arange(w) - (w - 1) / 2)[None]
    places = [a * i + b * j + (h - 1) / 2, c * i + d * j + (w - 1) / 2]
    sample = functools.partial(map_coordinates, coordinates=places, order=1, mode="constant")
    return jax.vmap(sample, in_axes=2, out_axes=2)(x)


def _below(u: jax.Array, count: int) -> jax.Array:
    """Return one of 0 to count - 1, each as likely."""
    return jnp.floor(u * count).astype(jnp.int32)


_CHANGES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "scale": _scale,
    "rotate": _rotate,
}
