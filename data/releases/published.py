"""The published sets of Google Research, KIP and Label Solve: where they are, how to read them.

Their files hold images and labels alone. What else is needed to use them is said here, as their
authors' code says it: the network, the transform, the label convention.

References:
    Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional Networks.
    NeurIPS 2021, https://arxiv.org/abs/2107.13034
    https://github.com/google-research/google-research/tree/master/kip, `dataset.ipynb` (the indexes
    and their columns) and `nn_training.ipynb` (network and transform).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stillhouse.data.card import Card
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.releases.folders import within
from stillhouse.data.releases.index import Row
from stillhouse.data.releases.names import architecture_named
from stillhouse.data.releases.stores import beside, inside, local_path
from stillhouse.data.sources.naming import naming
from stillhouse.data.transforms import ZCA, Standardise, Transform
from stillhouse.kernels.spec import KernelSpec

_BASE = "https://storage.googleapis.com/kip-datasets"
# The same files under other addresses; the first one, which the indexes name, asks for a login.
_OTHER_BASES = ("https://storage.cloud.google.com/kip-datasets", "gs://kip-datasets")
RELEASES = {"kip": "kip/kip.csv", "ls": "ls/ls.csv"}
INDEX = "index.csv"

_REGULARISATION = 1e-6
_ZCA_REGULARISATION = 0.1
_HELD_OUT = 5000  # training images that the whitening has not seen


def index_location(source: str, mirror: str | None = None) -> str:
    """Return where the index of a release is.

    Args:
        source: `kip`, `ls`, or the URL or path of an index or of the folder that holds it.
        mirror: the URL or path of a copy of the folder that holds the published releases.

    Raises:
        ValueError: if `mirror` is given for a source that is not published there.
    """
    if source in RELEASES:
        return inside(_BASE if mirror is None else mirror, RELEASES[source])
    if mirror is not None:
        raise ValueError(f"a mirror is for {' and '.join(RELEASES)} alone, got {source!r}")
    return source if source.endswith(".csv") else inside(source, INDEX)


def row_location(row: Row, index: str, mirror: str | None = None) -> str:
    """Return where the file of a row is.

    Args:
        row: of an index.
        index: where that is.
        mirror: as in `index_location`.

    Raises:
        ValueError: if an index from elsewhere names a file of this machine, or a relative path
            leads out of the folder of the index, by a link or by `..`.
    """
    for base in (_BASE, *_OTHER_BASES):
        if row.url.startswith(f"{base}/"):
            return inside(mirror or _BASE, row.url[len(base) + 1 :])
    location = row.url
    relative = "://" not in location and not location.startswith(("/", "~"))
    folder = local_path(index)
    if relative and folder is not None:
        with naming(f"{index}, line {row.line}"):
            within(Path(folder).parent, location)
    if relative:
        location = beside(index, location)
    if local_path(location) is not None and local_path(index) is None:
        raise ValueError(f"{index}, line {row.line}: names a file of this machine, {row.url}")
    return location


def fit_published_transform(zca: bool, dataset: Dataset) -> Transform:
    """Return the transform of the published sets, fitted again to a dataset.

    Images that are not whitened are standardised by the mean and deviation of all training images.
    The whitening follows `nn_training.ipynb`: all training images say mean and deviation, and all
    but the last 5,000 (45,000 of CIFAR-10's) the covariance, with the regularisation 0.1. Of a
    dataset smaller than 50,000 images a tenth is left out.

    The authors' images came in the order of TensorFlow Datasets, which is another one than that of
    the original files, so that the 45,000 are not the very same ones.

    Args:
        zca: whether to whiten.
        dataset: what the sets were distilled from.
    """
    standardise = Standardise.fit(dataset.x_train)
    if not zca:
        return standardise
    return ZCA.fit(
        dataset.x_train[: _whitening_images(dataset)],
        regularisation=_ZCA_REGULARISATION,
        standardise=standardise,
    )


def with_recipe(
    distilled: DistilledSet,
    row: Row,
    dataset: Dataset,
    transform: Transform,
    *,
    source: str,
    url: str,
    reading: Mapping[str, Any] | None = None,
) -> DistilledSet:
    """Return a published set with its transform and a card.

    The network is the row's, as NTK, with `W_std` sqrt(2) and `b_std` 0.1; labels are one-hot minus
    1/k where they were not learned; the ridge is 1e-6 of the kernel's mean diagonal.

    Args:
        distilled: images and labels, as downloaded.
        row: what the index says of them.
        dataset: what they were distilled from.
        transform: from `fit_published_transform`.
        source: by what name `load_dataset` finds the dataset.
        url: what errors call the set.
        reading: how that was read, where not as usual, such as `{"image_size": "32x32"}`.

    Raises:
        ValueError: if set, row and dataset do not fit together, or the network is not known.
    """
    if len(distilled.images) != row.ssize:
        raise ValueError(
            f"{url}: {len(distilled.images)} images, the index says {row.ssize} (line {row.line})"
        )
    if distilled.images.shape[1:] != dataset.image_shape:
        raise ValueError(
            f"{url}: images of {distilled.images.shape[1:]}, those of {source} are "
            f"{dataset.image_shape}: name the dataset {row.dataset}"
        )
    if distilled.num_classes != dataset.num_classes:
        raise ValueError(
            f"{url}: labels of {distilled.num_classes} classes, {source} has "
            f"{dataset.num_classes}: name the dataset {row.dataset}"
        )
    kernel = json.loads(KernelSpec(architecture_named(row.architecture)).to_json())
    card = Card(
        # Only the index of KIP has the column.
        method="kip" if row.augmented is not None else "label_solve",
        kernel=kernel,
        config={**_config(row, dataset, source), **(reading or {})},
        seed=None,
        dataset=dataset.info(),
        scores=_scores(row),
    )
    return DistilledSet(distilled.images, distilled.labels, transform, card)


def _whitening_images(dataset: Dataset) -> int:
    n = len(dataset.x_train)
    return n - min(_HELD_OUT, n // 10)


def _config(row: Row, dataset: Dataset, source: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "dataset": source,
        "architecture": row.architecture,
        "support_size": row.ssize,
        "transform": "zca" if row.zca else "standardise",
        "regularisation": _REGULARISATION,
        "released_for": row.dataset,
        "released_at": row.url,
    }
    if row.zca:
        config["whitening_images"] = _whitening_images(dataset)
    settings = {"learn_labels": row.learned, "augment": row.augmented, "steps": row.ckpt}
    if row.augmented is not None:
        config |= {name: value for name, value in settings.items() if value is not None}
    return config


def _scores(row: Row) -> dict[str, float]:
    stated = {
        "published_test_accuracy": row.test_accuracy,
        "published_test_mse": row.test_mse,
    }
    return {name: value for name, value in stated.items() if value is not None}
