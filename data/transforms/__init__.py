"""Transforms between raw pixels and the space that the kernel sees."""

from collections.abc import Mapping

import numpy as np

from stillhouse.data.arguments import check_arguments
from stillhouse.data.arrays import ArrayLike, as_images
from stillhouse.data.transforms.checked import Checked
from stillhouse.data.transforms.standardise import Standardise
from stillhouse.data.transforms.transform import Identity, Transform
from stillhouse.data.transforms.zca import ZCA
from stillhouse.data.transforms.zca_parts import VARIANTS, ZCAParts, parse_zca

__all__ = [
    "TRANSFORMS",
    "ZCA",
    "Checked",
    "Identity",
    "Standardise",
    "Transform",
    "ZCAParts",
    "check_transform",
    "fit_transform",
    "parse_zca",
    "transform_from_arrays",
]

_BY_KIND: dict[str, type[Identity] | type[Standardise]] = {
    cls.kind: cls for cls in (Identity, Standardise)
}
TRANSFORMS = (*_BY_KIND, *VARIANTS)


@check_arguments
def fit_transform(kind: str, x_train: ArrayLike) -> Transform:
    """Fit the transform of this kind to the train images.

    Args:
        kind: one of `TRANSFORMS`: `none`, `standardise`, `zca`, `zca-rfad`, `zca-frepo`; or a
            whitening with other parts, such as `zca:image_norm=no,regularisation=0.01`.
        x_train: raw images `[n, h, w, c]`.

    Raises:
        ValueError: if the kind is unknown, or the images cannot be used for it.
    """
    check_transform(kind)
    images = as_images(x_train, "`x_train`")
    if kind in _BY_KIND:
        return _BY_KIND[kind].fit(images)
    return ZCA.fit(images, parts=parse_zca(kind))


def transform_from_arrays(kind: str, arrays: Mapping[str, np.ndarray]) -> Transform:
    """Make a transform again from its kind and what `to_arrays` returned.

    Raises:
        ValueError: if the kind is unknown, or an array is missing or wrong.
    """
    check_transform(kind)
    if kind in _BY_KIND:
        return _BY_KIND[kind].from_arrays(arrays)
    return ZCA.from_arrays(arrays, parse_zca(kind))


def check_transform(kind: str) -> None:
    """Raise `ValueError` unless there is a transform of this kind."""
    if kind in _BY_KIND:
        return
    if kind.partition(":")[0] not in VARIANTS:
        raise ValueError(f"unknown transform {kind!r}, expected one of {', '.join(TRANSFORMS)}")
    parse_zca(kind)
