"""Datasets, transforms, target batches, and the distilled-set file."""

from stillhouse.data.arrays import as_images, as_labels
from stillhouse.data.atomic import atomic_write
from stillhouse.data.augmentation import Augmentation, augment
from stillhouse.data.batches import TargetBatches, split_chunks
from stillhouse.data.card import FORMAT_VERSION, LABEL_CONVENTION, Card, DatasetInfo
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.distilled import DistilledSet, load, load_distilled, save_distilled
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.sampling import class_balanced_indices, rng_for
from stillhouse.data.sources import dataset_from, load_dataset
from stillhouse.data.transforms import (
    TRANSFORMS,
    Transform,
    fit_transform,
    transform_from_arrays,
)
from stillhouse.data.wire import WireError, digest, pack, unpack

__all__ = [
    "FORMAT_VERSION",
    "LABEL_CONVENTION",
    "TRANSFORMS",
    "Augmentation",
    "Card",
    "Dataset",
    "DatasetInfo",
    "DistilledSet",
    "TargetBatches",
    "Transform",
    "WireError",
    "as_images",
    "as_labels",
    "atomic_write",
    "augment",
    "centred_one_hot",
    "class_balanced_indices",
    "dataset_from",
    "dataset_from_arrays",
    "digest",
    "fit_transform",
    "load",
    "load_dataset",
    "load_distilled",
    "pack",
    "rng_for",
    "save_distilled",
    "split_chunks",
    "transform_from_arrays",
    "unpack",
]
