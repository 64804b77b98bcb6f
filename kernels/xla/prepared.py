"""Images ready for pairing: in trailing lanes, with their variances beside them."""

import dataclasses

import numpy as np

from stillhouse.kernels.subblocks import padded

Tree = tuple[np.ndarray, tuple[np.ndarray, ...]]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Images and what every pair needs of them; or gradients for both.

    Attributes:
        images: `[h, w, c, n]`.
        maps: the variances before each ReLU, `[h_l, w_l, n]` or `[n]`.
    """

    images: np.ndarray
    maps: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return self.images.shape[-1]

    @property
    def tree(self) -> Tree:
        """Both, as the compiled functions take them."""
        return self.images, self.maps

    def take(self, index: slice | np.ndarray, size: int) -> Tree:
        """Return the images at `index` and their variances, repeated up to `size` lanes."""
        return padded(self.images[..., index], size, -1), tuple(
            padded(m[..., index], size, -1) for m in self.maps
        )

    def zeros(self) -> "Prepared":
        """Return gradients of 0."""
        return Prepared(np.zeros_like(self.images), tuple(map(np.zeros_like, self.maps)))

    def add(self, index: slice | np.ndarray, gradients: Tree) -> None:
        """Add the gradients of the lanes to the images at `index`, in order; surplus lanes drop.

        An array may name an image more than once.
        """
        mine, given = (self.images, *self.maps), (gradients[0], *gradients[1])
        for to, lanes in zip(mine, given, strict=True):
            if isinstance(index, slice):
                to[..., index] += lanes[..., : index.stop - index.start]
            else:
                for lane, i in enumerate(index):
                    to[..., i] += lanes[..., lane]
