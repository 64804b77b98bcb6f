"""Distilled sets as the datasets of other libraries, each imported only when it is asked for."""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from stillhouse.data.distilled import DistilledSet


def to_torch(distilled: "DistilledSet") -> Any:
    """Return a `torch.utils.data.TensorDataset` of images `[s, c, h, w]` and labels `[s, k]`.

    Raises:
        ImportError: if torch is not installed.
    """
    torch = _library("torch", "torch")
    images = np.ascontiguousarray(distilled.images.transpose(0, 3, 1, 2))
    return torch.utils.data.TensorDataset(
        torch.from_numpy(images), torch.from_numpy(distilled.labels.copy())
    )


def to_tf(distilled: "DistilledSet") -> Any:
    """Return a `tf.data.Dataset` of pairs of an image `[h, w, c]` and a label `[k]`.

    Raises:
        ImportError: if TensorFlow is not installed.
    """
    tensorflow = _library("tensorflow", "tensorflow")
    return tensorflow.data.Dataset.from_tensor_slices((distilled.images, distilled.labels))


def to_hf(distilled: "DistilledSet") -> Any:
    """Return a `datasets.Dataset` with columns `image` `[h, w, c]`, `label` `[k]` and `class`.

    `class` is that of a label's largest entry, with the name that the card gives it.

    Raises:
        ImportError: if Hugging Face's datasets is not installed.
    """
    datasets = _library("datasets", "datasets")
    k, card = distilled.num_classes, distilled.card
    names = [str(i) for i in range(k)] if card is None else list(card.dataset.class_names)
    features = datasets.Features(
        {
            "image": datasets.Array3D(distilled.images.shape[1:], "float32"),
            "label": datasets.Sequence(datasets.Value("float32"), length=k),
            "class": datasets.ClassLabel(names=names),
        }
    )
    columns = {
        "image": list(distilled.images),
        "label": list(distilled.labels),
        "class": distilled.labels.argmax(axis=1).tolist(),
    }
    return datasets.Dataset.from_dict(columns, features=features)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {module}: pip install {package}", name=module) from error
