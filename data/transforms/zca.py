"""Regularised ZCA whitening."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.linalg

from stillhouse.data.arrays import as_images, size_name, slices
from stillhouse.data.transforms.standardise import Standardise
from stillhouse.data.transforms.transform import as_batch, stored_array
from stillhouse.data.transforms.zca_parts import KIP, ZCAParts

_CHUNK = 1024  # images in float64 at a time: 25 MB at 32x32x3
_NO_CONTRAST = 1e-6  # of the norm of an image whose every pixel is one standard deviation


@dataclasses.dataclass(frozen=True, eq=False)
class ZCA:
    """The transform `zca`: standardise, normalise each image, whiten; or variants of it.

    An image, flattened to `x [d]` with `d = h w c`, becomes `W (x - mean(x)) / |x - mean(x)|` after
    standardisation, where `C = U diag(s) U^T` is the second-moment matrix of the training images so
    normalised, and

        W = U diag((s + r tr(C) / d)^(-1/2)) U^T

    with the regularisation `r`. With fewer training images than dimensions, n < d, the d - n
    directions that no training image has are left as they are (factor one): whitening would
    only blow up what is unknown there. An image without contrast becomes zero.

    That is the whitening of KIP. Others leave parts of it out: see `ZCAParts`.

    Memory: W is float32 `[d, d]`, 38 MB at 32x32x3, also in the file. `fit` is O(n d^2 + d^3) and
    needs about five float64 `[d, d]`; `apply` is O(n d^2).

    Attributes:
        standardise: the first part.
        whitening: W, float32 `[d, d]`, symmetric positive definite.
        norm: the mean norm of the training images before they are divided by it; 1 where they are
            not.
        image_shape: height, width and channels.
        parts: what it is made of, and the regularisation r.
        mean_image: what is taken away before, float64 `[d]`; None where nothing is.

    References:
        Shankar et al. Neural Kernels Without Tangents. ICML 2020, appendix on ZCA,
        https://arxiv.org/abs/2003.02237
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional Networks.
        NeurIPS 2021, https://arxiv.org/abs/2107.13034
        Loo, Hasani, Amini, Rus. Efficient Dataset Distillation using Random Feature Approximation.
        NeurIPS 2022, https://arxiv.org/abs/2210.12067, whose code leaves images undivided.
        Zhou, Nezhadarya, Ba. Dataset Distillation using Neural Feature Regression. NeurIPS 2022,
        https://arxiv.org/abs/2206.00719, whose code takes away the mean image.
    """

    standardise: Standardise
    whitening: np.ndarray
    norm: float
    image_shape: tuple[int, int, int]
    parts: ZCAParts = KIP
    mean_image: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """Its name in files and flags, by its parts."""
        return self.parts.kind

    @property
    def regularisation(self) -> float:
        """What is added to each eigenvalue, relative to their mean."""
        return self.parts.regularisation

    @classmethod
    def fit(
        cls,
        x_train: np.ndarray,
        *,
        regularisation: float | None = None,
        standardise: Standardise | None = None,
        parts: ZCAParts = KIP,
    ) -> "ZCA":
        """Fit the whitening to all training images, in float64.

        Args:
            x_train: raw images `[n, h, w, c]`.
            regularisation: r, relative to the mean eigenvalue; None for that of `parts`.
            standardise: the first part, where it was fitted to other images; None for these.
            parts: what it is made of.

        Raises:
            ValueError: if `regularisation` is not positive, or no image has any contrast.
        """
        if regularisation is not None:
            parts = dataclasses.replace(parts, regularisation=float(regularisation))
        images = as_images(x_train, "`x_train`")
        if not parts.channels:
            channels = images.shape[3]
            standardise = Standardise(np.zeros(channels), np.ones(channels))
        standardise = Standardise.fit(images) if standardise is None else standardise
        n, d = len(images), images[0].size
        mean_image = None
        if parts.mean_image:
            mean_image = np.zeros(d)
            for part in slices(n, _CHUNK):
                standardised = standardise.apply(images[part]).reshape(-1, d)
                mean_image += standardised.sum(axis=0, dtype=np.float64)
            mean_image /= n
        moments = np.zeros((d, d))
        norm = 0.0
        for part in slices(n, _CHUNK):
            rows, norms = _rows(standardise.apply(images[part]), parts, mean_image)
            moments += rows.T @ rows
            norm += float(norms.sum())
        moments /= n
        ridge = parts.regularisation * float(np.trace(moments)) / d
        if ridge == 0.0:
            raise ValueError("`x_train` has no image with any contrast: there is nothing to whiten")
        s, u = scipy.linalg.eigh(moments, overwrite_a=True, check_finite=False)
        factors = (np.maximum(s, 0.0) + ridge) ** -0.5
        factors[: max(d - n, 0)] = 1.0  # eigenvalues ascend: these are the missing directions
        u *= np.sqrt(factors)
        whitening = (u @ u.T).astype(np.float32)
        h, w, c = images.shape[1:]
        return cls(standardise, whitening, norm / n, (h, w, c), parts, mean_image)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return whitened float32 `[n, h, w, c]`.

        Raises:
            ValueError: if the images have another size.
        """
        images = self._checked(images)
        whitened = np.empty((len(images), len(self.whitening)), dtype=np.float32)
        for part in slices(len(images), _CHUNK):
            standardised = self.standardise.apply(images[part])
            rows, _ = _rows(standardised, self.parts, self.mean_image)
            np.matmul(rows.astype(np.float32), self.whitening, out=whitened[part])
        return whitened.reshape(images.shape)

    __call__ = apply

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Return raw pixel values, float32 `[n, h, w, c]`.

        The whitening and the standardisation are undone. What cannot be: each image's own mean and
        norm, which `apply` takes away. In their place stand those of the training images (a mean of
        zero after standardisation, and the mean norm), so that brightness and contrast are typical
        and the picture is right. Variants that take neither away are undone exactly.

        Raises:
            ValueError: if the images have another size.
        """
        images = self._checked(images)
        factor = scipy.linalg.cho_factor(self.whitening.astype(np.float64))
        rows = images.reshape(len(images), -1).astype(np.float64)
        rows = self.norm * scipy.linalg.cho_solve(factor, rows.T).T
        if self.mean_image is not None:
            rows += self.mean_image
        return self.standardise.invert(rows.astype(np.float32).reshape(images.shape))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays `mean`, `std`, `whitening`, `norm`, `image_shape`, `regularisation`.

        And `mean_image` where there is one; of the other parts, `kind` tells.
        """
        mean_image = {} if self.mean_image is None else {"mean_image": self.mean_image}
        return {
            **mean_image,
            **self.standardise.to_arrays(),
            "whitening": self.whitening,
            "norm": np.array(self.norm),
            "image_shape": np.array(self.image_shape),
            "regularisation": np.array(self.regularisation),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], parts: ZCAParts = KIP) -> "ZCA":
        """Make the transform from what `to_arrays` returned.

        Args:
            arrays: those.
            parts: from `parse_zca` of its `kind`; the regularisation is among the arrays.

        Raises:
            ValueError: if an array is missing or wrong.
        """
        h, w, c = (int(n) for n in stored_array(parts.kind, arrays, "image_shape", (3,)))
        d = h * w * c
        stored_array(parts.kind, arrays, "whitening", (d, d))
        mean_image = (
            stored_array(parts.kind, arrays, "mean_image", (d,)) if parts.mean_image else None
        )
        regularisation = float(stored_array(parts.kind, arrays, "regularisation", ()))
        return cls(
            Standardise.from_arrays(arrays),
            np.ascontiguousarray(arrays["whitening"], dtype=np.float32),
            float(stored_array(parts.kind, arrays, "norm", ())),
            (h, w, c),
            dataclasses.replace(parts, regularisation=regularisation),
            mean_image,
        )

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images = as_batch(images)
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"the transform was fitted to images of {size_name(self.image_shape)}, "
                f"got shape {images.shape}"
            )
        return images


def _rows(
    images: np.ndarray, parts: ZCAParts, mean_image: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is whitened, float64 `[n, d]`, and the norms `[n]` by which it was divided."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    if mean_image is not None:
        rows -= mean_image
    if parts.image_mean:
        rows -= rows.mean(axis=1, keepdims=True)
    if not parts.image_norm:
        return rows, np.ones(len(rows))
    norms = np.linalg.norm(rows, axis=1)
    flat = norms <= _NO_CONTRAST * np.sqrt(rows.shape[1])
    rows[flat] = 0.0
    norms[flat] = 0.0
    rows /= np.where(flat, 1.0, norms)[:, np.newaxis]
    return rows, norms
