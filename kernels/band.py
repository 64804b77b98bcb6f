"""Which displacements of a pair of images a network needs: the displacement band.

Write K[d][p] for the covariance of pixel p of one image with pixel p + d of the other. A
convolution and a ReLU keep d, and a k-pool makes the displacements |D| <= r of its output from
|d| <= k r + k - 1 of its input. So, walking a network backwards from its readout (D = 0 for
Flatten, every D for a global average), the displacements that matter at each resolution are a
band, and everything outside it need never be computed.
"""

import dataclasses

from stillhouse.kernels.architecture import Architecture, AvgPool, Conv, Flatten, Relu

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Level:
    """The layers of a network at one resolution, and the displacements they need.

    Attributes:
        layers: the convolutions and ReLUs, in order.
        shape: height and width of the maps, in pixels.
        radius: the largest displacement |di|, |dj| that is needed in these layers.
        pool: the window of the pool that ends the level, or None where the readout does.
    """

    layers: tuple[Conv | Relu, ...]
    shape: Pair
    radius: Pair
    pool: Pair | None

    @property
    def relus(self) -> int:
        """The number of ReLUs in the level, hence of variance maps."""
        return sum(isinstance(layer, Relu) for layer in self.layers)

    @property
    def covariances(self) -> int:
        """The number of pixel pairs with a displacement in the band."""
        (h, w), (ri, rj) = self.shape, self.radius
        rows = sum(h - abs(d) for d in range(-ri, ri + 1))
        return rows * sum(w - abs(d) for d in range(-rj, rj + 1))


def pair_levels(architecture: Architecture, shape: Pair) -> tuple[Level, ...]:
    """Return the levels of a network for pairs of images of `shape`, first to last.

    Raises:
        ValueError: if pooling would leave nothing of the image.
    """
    architecture.check_image(*shape)
    levels = _split(architecture, shape)
    last = levels[-1].shape
    everything = (last[0] - 1, last[1] - 1)
    return _with_radii(levels, (0, 0) if isinstance(architecture.readout, Flatten) else everything)


def variance_levels(architecture: Architecture, shape: Pair) -> tuple[Level, ...]:
    """Return the levels that an image needs with itself, to know the variances before each ReLU.

    They reach less far than those of a pair: only the variance itself (d = 0) is asked of the
    last level that has a ReLU. Where a dense layer with a ReLU follows, the whole band is needed.
    """
    if any(isinstance(layer, Relu) for layer in architecture.dense_layers):
        return pair_levels(architecture, shape)
    architecture.check_image(*shape)
    levels = _split(architecture, shape)
    while levels and not levels[-1].relus:
        levels.pop()
    return _with_radii(levels, (0, 0))


def radius_before(pool: Pair, radius: Pair, shape: Pair) -> Pair:
    """Return the displacements that a pool needs of its input for those of its output.

    Args:
        pool: its window.
        radius: the largest displacements that are needed of its output.
        shape: height and width of its input, beyond which there are none.
    """
    (kh, kw), (ri, rj), (h, w) = pool, radius, shape
    return min(kh * ri + kh - 1, h - 1), min(kw * rj + kw - 1, w - 1)


def _split(architecture: Architecture, shape: Pair) -> list[Level]:
    levels: list[Level] = []
    layers: list[Conv | Relu] = []
    for layer in architecture.image_layers:
        if isinstance(layer, AvgPool):
            levels.append(Level(tuple(layers), shape, (0, 0), layer.window))
            layers = []
            shape = (shape[0] // layer.window[0], shape[1] // layer.window[1])
        else:
            layers.append(layer)
    levels.append(Level(tuple(layers), shape, (0, 0), None))
    return levels


def _with_radii(levels: list[Level], radius: Pair) -> tuple[Level, ...]:
    """Give each level its radius, from the `radius` that is asked of the last one."""
    result: list[Level] = []
    for i, level in enumerate(reversed(levels)):
        if i and level.pool is not None:
            radius = radius_before(level.pool, radius, level.shape)
        result.append(dataclasses.replace(level, radius=radius))
    return tuple(reversed(result))
