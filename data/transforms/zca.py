"""Regularised ZCA whitening."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import scipy.linalg

from stillhouse.data.arrays import as_images, size_name, slices
from stillhouse.data.transforms.standardise import Standardise
from stillhouse.data.transforms.transform import stored_array

_CHUNK = 1024  # images in float64 at a time: 25 MB at 32x32x3
_NO_CONTRAST = 1e-6  # of the norm of an image whose every pixel is one standard deviation


@dataclasses.dataclass(frozen=True, eq=False)
class ZCA:
    """The transform `zca`: standardise, normalise each image, whiten.

    An image, flattened to `x [d]` with `d = h w c`, becomes `W (x - mean(x)) / |x - mean(x)|` after
    standardisation, where `C = U diag(s) U^T` is the second-moment matrix of the training images so
    normalised, and

        W = U diag((s + r tr(C) / d)^(-1/2)) U^T

    with the regularisation `r`. With fewer training images than dimensions, n < d, the d - n
    directions that no training image has are left as they are (factor one): whitening would
    only blow up what is unknown there. An image without contrast becomes zero.

    Memory: W is float32 `[d, d]`, 38 MB at 32x32x3, also in the file. `fit` is O(n d^2 + d^3) and
    needs about five float64 `[d, d]`; `apply` is O(n d^2).

    Attributes:
        standardise: the first part.
        whitening: W, float32 `[d, d]`, symmetric positive definite.
        norm: the mean norm of the training images before they are divided by it.
        image_shape: height, width and channels.
        regularisation: r.

    References:
        Shankar et al. Neural Kernels Without Tangents. ICML 2020, appendix on ZCA,
        https://arxiv.org/abs/2003.02237
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional Networks.
        NeurIPS 2021, https://arxiv.org/abs/2107.13034
    """

    kind: ClassVar[str] = "zca"

    standardise: Standardise
    whitening: np.ndarray
    norm: float
    image_shape: tuple[int, int, int]
    regularisation: float

    @classmethod
    def fit(
        cls,
        x_train: np.ndarray,
        *,
        regularisation: float = 0.1,
        standardise: Standardise | None = None,
    ) -> "ZCA":
        """Fit the whitening to all training images, in float64.

        Args:
            x_train: raw images `[n, h, w, c]`.
            regularisation: r, relative to the mean eigenvalue.
            standardise: the first part, where it was fitted to other images; None for these.

        Raises:
            ValueError: if `regularisation` is not positive, or no image has any contrast.
        """
        if not (np.isfinite(regularisation) and regularisation > 0):
            raise ValueError(f"`regularisation` must be a positive number, got {regularisation}")
        images = as_images(x_train, "`x_train`")
        standardise = Standardise.fit(images) if standardise is None else standardise
        n, d = len(images), images[0].size
        moments = np.zeros((d, d))
        norm = 0.0
        for part in slices(n, _CHUNK):
            rows, norms = _unit_rows(standardise.apply(images[part]))
            moments += rows.T @ rows
            norm += float(norms.sum())
        moments /= n
        ridge = regularisation * float(np.trace(moments)) / d
        if ridge == 0.0:
            raise ValueError("`x_train` has no image with any contrast: there is nothing to whiten")
        s, u = scipy.linalg.eigh(moments, overwrite_a=True, check_finite=False)
        factors = (np.maximum(s, 0.0) + ridge) ** -0.5
        factors[: max(d - n, 0)] = 1.0  # eigenvalues ascend: these are the missing directions
        u *= np.sqrt(factors)
        whitening = (u @ u.T).astype(np.float32)
        h, w, c = images.shape[1:]
        return cls(standardise, whitening, norm / n, (h, w, c), float(regularisation))

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return whitened float32 `[n, h, w, c]`.

        Raises:
            ValueError: if the images have another size.
        """
        self._check(images)
        whitened = np.empty((len(images), len(self.whitening)), dtype=np.float32)
        for part in slices(len(images), _CHUNK):
            rows, _ = _unit_rows(self.standardise.apply(images[part]))
            np.matmul(rows.astype(np.float32), self.whitening, out=whitened[part])
        return whitened.reshape(images.shape)

    __call__ = apply

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Return raw pixel values, float32 `[n, h, w, c]`.

        The whitening and the standardisation are undone. What cannot be: each image's own mean and
        norm, which `apply` takes away. In their place stand those of the training images (a mean of
        zero after standardisation, and the mean norm), so that brightness and contrast are typical
        and the picture is right.

        Raises:
            ValueError: if the images have another size.
        """
        self._check(images)
        factor = scipy.linalg.cho_factor(self.whitening.astype(np.float64))
        rows = images.reshape(len(images), -1).astype(np.float64)
        rows = self.norm * scipy.linalg.cho_solve(factor, rows.T).T
        return self.standardise.invert(rows.astype(np.float32).reshape(images.shape))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays `mean`, `std`, `whitening`, `norm`, `image_shape`, `regularisation`."""
        return {
            **self.standardise.to_arrays(),
            "whitening": self.whitening,
            "norm": np.array(self.norm),
            "image_shape": np.array(self.image_shape),
            "regularisation": np.array(self.regularisation),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "ZCA":
        """Make the transform from what `to_arrays` returned.

        Raises:
            ValueError: if an array is missing or wrong.
        """
        h, w, c = (int(n) for n in stored_array(cls.kind, arrays, "image_shape", (3,)))
        stored_array(cls.kind, arrays, "whitening", (h * w * c, h * w * c))
        return cls(
            Standardise.from_arrays(arrays),
            np.ascontiguousarray(arrays["whitening"], dtype=np.float32),
            float(stored_array(cls.kind, arrays, "norm", ())),
            (h, w, c),
            float(stored_array(cls.kind, arrays, "regularisation", ())),
        )

    def _check(self, images: np.ndarray) -> None:
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"the transform was fitted to images of {size_name(self.image_shape)}, "
                f"got shape {images.shape}"
            )


def _unit_rows(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre each image and divide it by its norm: float64 `[n, d]`, and the norms `[n]`."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1)
    flat = norms <= _NO_CONTRAST * np.sqrt(rows.shape[1])
    rows[flat] = 0.0
    norms[flat] = 0.0
    rows /= np.where(flat, 1.0, norms)[:, np.newaxis]
    return rows, norms
