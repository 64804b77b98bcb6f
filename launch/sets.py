"""What belongs to a distilled set: as it is asked for, or else as the set itself says."""

import json

from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.sources import load_dataset
from stillhouse.data.transforms import Transform, fit_transform
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.launch.architectures import build_architecture
from stillhouse.launch.settings.sets import SetConfig

_REGULARISATION = 1e-6


def dataset_for(asked: SetConfig, file: str, distilled: DistilledSet) -> Dataset:
    """Return the dataset that is asked for, or the one that the set was distilled from.

    Args:
        asked: the settings.
        file: what messages call the set.
        distilled: the set.

    Raises:
        ValueError: if the set does not say what it was distilled from, or the dataset has images
            of another size or another number of classes.
        OSError: if it cannot be read.
    """
    source = asked.dataset
    if source is None:
        if distilled.card is None or "dataset" not in distilled.card.config:
            raise ValueError(f"{file} does not say what it was distilled from; give --dataset")
        source = str(distilled.card.config["dataset"])
    dataset = load_dataset(source)
    if dataset.image_shape != distilled.images.shape[1:]:
        raise ValueError(
            f"`--dataset`: the images of {source} are {_size(dataset.image_shape)}, those of "
            f"{file} {_size(distilled.images.shape[1:])}"
        )
    if dataset.num_classes != distilled.num_classes:
        raise ValueError(
            f"`--dataset`: {source} has {dataset.num_classes} classes, the labels of "
            f"{file} have {distilled.num_classes}"
        )
    return dataset


def kernel_for(asked: SetConfig, file: str, distilled: DistilledSet) -> KernelSpec:
    """Return the kernel that is asked for, or the set's own.

    Raises:
        ValueError: if neither is known, or the one asked for does not exist.
    """
    if asked.architecture is not None:
        stds = {"W_std": asked.W_std, "b_std": asked.b_std}
        architecture = build_architecture(
            asked.architecture,
            asked.depth,
            global_pool=asked.global_pool,
            **{name: value for name, value in stds.items() if value is not None},
        )
        return KernelSpec(architecture, _kind(asked.kernel or "ntk"))
    if distilled.card is None:
        raise ValueError(
            f"{file} does not say what network it was distilled with; give --architecture, "
            "such as --architecture=convnet --depth=3"
        )
    own = KernelSpec.from_json(json.dumps(distilled.card.kernel))
    return KernelSpec(own.architecture, _kind(asked.kernel or own.kind))


def transform_for(
    asked: SetConfig, file: str, distilled: DistilledSet, dataset: Dataset
) -> Transform:
    """Return the transform that is asked for, fitted on the training images, or the set's own.

    Raises:
        ValueError: if neither is known, or the images cannot be used for it.
    """
    if asked.transform is not None:
        return fit_transform(asked.transform, dataset.x_train)
    if distilled.transform is None:
        raise ValueError(
            f"{file} carries no transform; give --transform=none, standardise or zca, to "
            "be fitted on the dataset's training images"
        )
    return distilled.transform


def regularisation_for(asked: SetConfig, distilled: DistilledSet) -> float:
    """Return the ridge that is asked for, the set's own, or the papers'."""
    if asked.regularisation is not None:
        return asked.regularisation
    own = distilled.card.config.get("regularisation") if distilled.card else None
    return _REGULARISATION if own is None else float(own)


def is_own(distilled: DistilledSet, dataset: Dataset) -> bool | None:
    """Return whether the set was distilled from this very dataset; None if it does not say."""
    if distilled.card is None:
        return None
    return distilled.card.dataset.fingerprint == dataset.fingerprint()


def _kind(name: str) -> Kind:
    return "ntk" if name == "ntk" else "nngp"


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
