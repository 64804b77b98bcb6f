"""Distilled sets as the datasets of other libraries, each imported only when it is asked for."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def to_torch(images: np.ndarray, labels: np.ndarray) -> Any:
    """Return a `torch.utils.data.TensorDataset` of images `[s, c, h, w]` and labels `[s, k]`.

    Raises:
        ImportError: if torch is not installed.
    """
    torch = _library("torch", "torch")
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.utils.data.TensorDataset(
        torch.from_numpy(channels_first), torch.from_numpy(labels.copy())
    )


def to_tf(images: np.ndarray, labels: np.ndarray) -> Any:
    """Return a `tf.data.Dataset` of pairs of an image `[h, w, c]` and a label `[k]`.

    Raises:
        ImportError: if TensorFlow is not installed.
    """
    tensorflow = _library("tensorflow", "tensorflow")
    return tensorflow.data.Dataset.from_tensor_slices((images, labels))


def to_hf(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None) -> Any:
    """Return a `datasets.Dataset` with columns `image` `[h, w, c]`, `label` `[k]` and `class`.

    `class` is that of a label's largest entry, with its name of `class_names`, or else its number.

    Raises:
        ImportError: if Hugging Face's datasets is not installed.
    """
    datasets = _library("datasets", "datasets")
    k = labels.shape[1]
    names = [str(i) for i in range(k)] if class_names is None else list(class_names)
    features = datasets.Features(
        {
            "image": datasets.Array3D(images.shape[1:], "float32"),
            "label": datasets.Sequence(datasets.Value("float32"), length=k),
            "class": datasets.ClassLabel(names=names),
        }
    )
    columns = {
        "image": list(images),
        "label": list(labels),
        "class": labels.argmax(axis=1).tolist(),
    }
    return datasets.Dataset.from_dict(columns, features=features)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {module}: pip install {package}", name=module) from error
