"""Transforms between raw pixels and the space that the kernel sees."""

from collections.abc import Mapping

import numpy as np

from stillhouse.data.transforms.standardise import Standardise
from stillhouse.data.transforms.transform import Identity, Transform
from stillhouse.data.transforms.zca import ZCA

__all__ = [
    "TRANSFORMS",
    "ZCA",
    "Identity",
    "Standardise",
    "Transform",
    "fit_transform",
    "transform_from_arrays",
]

_BY_KIND: dict[str, type[Identity] | type[Standardise] | type[ZCA]] = {
    cls.kind: cls for cls in (Identity, Standardise, ZCA)
}
TRANSFORMS = tuple(_BY_KIND)


def fit_transform(kind: str, x_train: np.ndarray) -> Transform:
    """Fit the transform of this kind to the train images.

    Args:
        kind: one of `TRANSFORMS`: `none`, `standardise`, `zca`.
        x_train: raw images `[n, h, w, c]`.

    Raises:
        ValueError: if the kind is unknown, or the images cannot be used for it.
    """
    return _class_of(kind).fit(x_train)


def transform_from_arrays(kind: str, arrays: Mapping[str, np.ndarray]) -> Transform:
    """Make a transform again from its kind and what `to_arrays` returned.

    Raises:
        ValueError: if the kind is unknown, or an array is missing or wrong.
    """
    return _class_of(kind).from_arrays(arrays)


def _class_of(kind: str) -> type[Identity] | type[Standardise] | type[ZCA]:
    if kind not in _BY_KIND:
        raise ValueError(f"unknown transform {kind!r}, expected one of {', '.join(TRANSFORMS)}")
    return _BY_KIND[kind]
