"""Where datasets come from."""

from stillhouse.data.sources.cifar import load_cifar
from stillhouse.data.sources.digits import load_digits
from stillhouse.data.sources.idx import load_idx
from stillhouse.data.sources.image_folder import load_image_folder
from stillhouse.data.sources.load import load_dataset
from stillhouse.data.sources.npz import load_npz
from stillhouse.data.sources.objects import dataset_from
from stillhouse.data.sources.parquet import load_parquet

__all__ = [
    "dataset_from",
    "load_cifar",
    "load_dataset",
    "load_digits",
    "load_idx",
    "load_image_folder",
    "load_npz",
    "load_parquet",
]
