"""The distilled set and its file.

The file is an uncompressed `.npz` with `images` float32 `[s, h, w, c]` and `labels` float32
`[s, k]`, which is all that readers of the published sets look for. Beside them stand the transform
(`transform_kind` and `transform/<name>`) and the card (`card`, JSON).
"""

import dataclasses
import errno
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.archive import listed, npz_names, read_npz, write_npz
from stillhouse.data.arguments import check_arguments, of_hint, shown
from stillhouse.data.arrays import MOST_CLASSES, as_images, label_array, size_name
from stillhouse.data.card import Card
from stillhouse.data.interop import to_hf, to_tf, to_torch
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.paths import nearest_path
from stillhouse.data.torch_sets import ENDINGS, read_torch_set
from stillhouse.data.transforms import Checked, Transform, transform_from_arrays

_PREFIX = "transform/"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DistilledSet:
    """Synthetic images and their labels, with all that is needed to use them.

    Attributes:
        images: float32 `[s, h, w, c]`, in the transformed space that the kernel sees.
        labels: float32 `[s, k]`, centred.
        transform: brings real images into that space, and these back; None where unknown. With a
            card it refuses images of another shape or scale than the dataset's.
        card: where the set comes from; None where unknown.

    Raises:
        ValueError: if shapes do not fit together, or a value is NaN or infinite.
    """

    images: np.ndarray
    labels: np.ndarray
    transform: Transform | None = None
    card: Card | None = None

    def __post_init__(self) -> None:
        images = as_images(self.images, "`images`").astype(np.float32, copy=False)
        labels = label_array(self.labels, "`labels`")
        if labels.dtype.kind not in "uifb":
            raise ValueError(f"`labels` must be numbers [s, k], got {labels.dtype}")
        labels = np.ascontiguousarray(labels, dtype=np.float32)
        if labels.ndim != 2 or labels.shape[1] < 2:
            raise ValueError(f"`labels` must be [s, k] with k >= 2, got shape {labels.shape}")
        if len(labels) != len(images):
            raise ValueError(f"{len(images)} `images` but {len(labels)} `labels`")
        if not np.isfinite(labels).all():
            row = int(np.argwhere(~np.isfinite(labels))[0, 0])
            raise ValueError(f"`labels` must be finite: label {row} is {labels[row].tolist()}")
        of_hint("`card`", self.card, Card | None)
        if self.transform is not None and not hasattr(self.transform, "invert"):
            raise ValueError(f"`transform` must be a Transform, got {shown(self.transform)}")
        if self.card is not None:
            info = self.card.dataset
            if info.image_shape != images.shape[1:]:
                raise ValueError(
                    f"`images` are {size_name(images.shape[1:])}, the card says "
                    f"{size_name(info.image_shape)}"
                )
            if len(info.class_names) != labels.shape[1]:
                raise ValueError(
                    f"`labels` have {labels.shape[1]} classes, the card names "
                    f"{len(info.class_names)}"
                )
        if self.card is not None and self.transform is not None:
            if not isinstance(self.transform, Checked):
                info = self.card.dataset
                checked = Checked(self.transform, info.image_shape, info.pixel_range)
                object.__setattr__(self, "transform", checked)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    def __repr__(self) -> str:
        size, kind = size_name(self.images.shape[1:]), self.transform and self.transform.kind
        lines = [f"DistilledSet of {len(self.images)} images of {size}, {self.num_classes} classes"]
        if self.card is not None:
            scores = self.card.scores
            accuracy = scores.get("test_accuracy", scores.get("published_test_accuracy"))
            stated = "" if accuracy is None else f", test accuracy {accuracy:.4f}"
            lines.append(f"from {self.card.dataset.name} by {self.card.method}{stated}")
        lines.append(f"transform: {kind or 'unknown'}")
        return "\n  ".join(lines)

    def evaluate(self, dataset: Any = None, labels: Any = None, **settings: Any) -> Any:
        """Return the scores on test images.

        Arguments and errors are those of `stillhouse.evaluate` behind the set.
        """
        return _scoring().evaluate(self, dataset, labels, **settings)

    def predict(self, images: Any, **settings: Any) -> np.ndarray:
        """Return what kernel ridge regression says of raw images `[n, h, w, c]`, float64 `[n, k]`.

        Args:
            images: in the scale of the dataset.
            **settings: `architecture`, `depth`, `kernel` and `regularisation` as for
                `stillhouse.evaluate`, where they are not to be the set's own; `backend`, `threads`.

        Raises:
            ValueError: if the set carries no transform, or the images do not fit it.
        """
        predictions: np.ndarray = _scoring().predict(self, images, **settings)
        return predictions

    def compare(self, dataset: Any = None, **settings: Any) -> Any:
        """Return the scores by name, of this, of real sets of its size and of other sets.

        Args:
            dataset: as for `evaluate`, but with training images.
            **settings: `others`, a dict of more distilled sets by name; `architecture`, `depth`,
                `kernel`, `transform`, `regularisation`, `seed`, `backend` and `threads`.

        Returns:
            The scores of `distilled`, `random`, `kmeans`, `average` and the others, by one kernel.

        Raises:
            ValueError: if a set does not fit the dataset, or is no multiple of the classes.
        """
        return _scoring().compare(self, dataset, **settings)

    @property
    def num_classes(self) -> int:
        """The number of label columns."""
        return int(self.labels.shape[1])

    def original_images(self) -> np.ndarray:
        """Return the images in raw pixels, float32 `[s, h, w, c]`; as they are if no transform."""
        return self.images if self.transform is None else self.transform.invert(self.images)

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Bring images of the transformed space back to raw pixels, float32 `[n, h, w, c]`.

        Raises:
            ValueError: if the set carries no transform, or they have another shape.
        """
        if self.transform is None:
            raise ValueError(
                "this set carries no transform; fit one to the dataset that it was distilled from, "
                "by `stillhouse.fit_transform`"
            )
        return self.transform.invert(images)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the set to a file, atomically.

        Raises:
            ValueError: if it is no path.
            OSError: if the file cannot be written.
        """
        save_distilled(path, self)

    def to_torch(self) -> Any:
        """Return a `torch.utils.data.TensorDataset` of images `[s, c, h, w]` and labels `[s, k]`.

        Raises:
            ImportError: if torch is not installed.
        """
        return to_torch(self.images, self.labels)

    def to_tf(self) -> Any:
        """Return a `tf.data.Dataset` of pairs of an image `[h, w, c]` and a label `[k]`.

        Raises:
            ImportError: if TensorFlow is not installed.
        """
        return to_tf(self.images, self.labels)

    def to_hf(self) -> Any:
        """Return a `datasets.Dataset` with columns `image` `[h, w, c]`, `label` `[k]` and `class`.

        Raises:
            ImportError: if Hugging Face's datasets is not installed.
        """
        names = None if self.card is None else self.card.dataset.class_names
        return to_hf(self.images, self.labels, names)


def _scoring() -> Any:
    """Return what scores sets: it stands above this room, which knows it by its package alone."""
    package = sys.modules[__name__.partition(".")[0]]
    return sys.modules[package.evaluate.__module__]


@check_arguments
def load(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> DistilledSet:
    """Read a distilled set from its file, or from the folder of a finished run.

    Args:
        path: the file or folder.
        max_bytes: as for `load_distilled`.

    Raises:
        ValueError: if the file is damaged, is no distilled set, was written in a newer format, or
            unpacks to too much, or the folder holds none.
        OSError: if there is no such file, or it cannot be read.
    """
    return load_distilled(set_file(path), max_bytes=max_bytes)


def set_file(path: str | os.PathLike[str]) -> Path:
    """Return the file of a distilled set that is named by it, or by the folder of its run.

    Raises:
        FileNotFoundError: if there is neither.
        ValueError: if the folder holds none: the run is not finished, or it is another folder.
    """
    file = Path(path).expanduser()
    if not os.path.lexists(file):
        raise FileNotFoundError(
            f"no such distilled set: {file}{nearest_path(file)}; name its file, such as "
            "runs/digits/distilled.npz, or the folder of its run"
        )
    if not file.is_dir():
        return file
    inside = file / "distilled.npz"
    if not inside.exists() and (file / "config.json").exists():
        raise ValueError(f"{file} is a run without a distilled.npz, which comes at its end")
    if not inside.exists():
        raise ValueError(f"{file} is a folder without a distilled.npz; name the file")
    return inside


@check_arguments
def save_distilled(path: str | os.PathLike[str], distilled: DistilledSet) -> None:
    """Write a distilled set, atomically.

    Raises:
        ValueError: if an argument is of a wrong type.
        OSError: if the file cannot be written.
    """
    write_npz(path, distilled_arrays(distilled))


def distilled_arrays(distilled: DistilledSet) -> dict[str, np.ndarray]:
    """Return the arrays of a set's file, by name."""
    own = space_arrays(distilled.transform, distilled.card)
    return {"images": distilled.images, "labels": distilled.labels, **own}


def space_arrays(transform: Transform | None, card: Card | None) -> dict[str, np.ndarray]:
    """Return what stands beside images and labels in a set's file, by name."""
    arrays = {}
    if transform is not None:
        arrays["transform_kind"] = np.array(transform.kind)
        for name, array in transform.to_arrays().items():
            arrays[_PREFIX + name] = array
    if card is not None:
        arrays["card"] = np.array(card.to_json())
    return arrays


@check_arguments
def load_distilled(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> DistilledSet:
    """Read a distilled set, or any `.npz` or `.pt` with `images` and `labels`.

    Such other files, like the published KIP sets, give a set without transform and card. Integer
    labels `[s]` are taken as classes and centred. Images `[s, c, h, w]` of one or three channels
    are turned to `[s, h, w, c]`. What PyTorch saved is read as `read_torch_set` says.

    Args:
        path: the file.
        max_bytes: what it may unpack to; None for fifty times its own size, and no more than half
            of the memory that is left.

    Raises:
        ValueError: if the file is damaged, is no distilled set, was written in a newer format, or
            unpacks to more than `max_bytes`.
        ImportError: if it is a file of PyTorch, and torch is not installed.
        OSError: if the file is missing or cannot be read.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(
            errno.EISDIR, "a folder; `load` finds the set in the folder of a run", os.fspath(path)
        )
    if Path(path).suffix in ENDINGS:
        return _foreign(path, read_torch_set(Path(path), max_bytes=max_bytes))
    names = npz_names(path)
    if "images" not in names or "labels" not in names:
        raise ValueError(
            f"{os.fspath(path)}: not a distilled set: expected the arrays `images` and `labels`, "
            f"found {listed(names)}"
        )
    own = [n for n in names if n in ("transform_kind", "card") or n.startswith(_PREFIX)]
    arrays = read_npz(path, ["images", "labels", *own], max_bytes=max_bytes)
    try:
        transform, card = space_from_arrays(arrays)
        images = arrays["images"] if card else channels_last(arrays["images"])
        return DistilledSet(images, soft_labels(arrays["labels"]), transform, card)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def space_from_arrays(arrays: dict[str, np.ndarray]) -> tuple[Transform | None, Card | None]:
    """Return what `space_arrays` gave, from the arrays of a file.

    Raises:
        ValueError: if they are damaged, or of a newer format.
    """
    # The card first: a newer format may have changed anything else.
    card = Card.from_json(_text(arrays, "card")) if "card" in arrays else None
    transform = None
    if "transform_kind" in arrays:
        parts = {n[len(_PREFIX) :]: a for n, a in arrays.items() if n.startswith(_PREFIX)}
        transform = transform_from_arrays(_text(arrays, "transform_kind"), parts)
    return transform, card


def _text(arrays: dict[str, np.ndarray], name: str) -> str:
    array = arrays[name]
    if array.ndim != 0 or array.dtype.kind != "U":
        raise ValueError(f"`{name}` must be a text, got {array.dtype} of shape {array.shape}")
    return str(array)


def _foreign(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> DistilledSet:
    try:
        return DistilledSet(channels_last(arrays["images"]), soft_labels(arrays["labels"]))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def channels_last(images: np.ndarray) -> np.ndarray:
    """Return `[s, h, w, c]` of images that may have their one or three channels first."""
    first = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3)
    return images.transpose(0, 2, 3, 1) if first else images


def soft_labels(labels: np.ndarray) -> np.ndarray:
    """Return labels as they are, those that are classes `[s]` as centred ones `[s, k]`.

    Raises:
        ValueError: if they are no numbers, or of more classes than any dataset has.
    """
    if labels.dtype.kind not in "uif":
        raise ValueError(f"`labels` must be numbers, got {labels.dtype}")
    if labels.ndim == 1 and labels.dtype.kind in "ui" and labels.size:
        largest = int(labels.max())
        if largest >= MOST_CLASSES:
            raise ValueError(
                f"`labels` must be classes below {MOST_CLASSES:,}, got {largest} "
                f"(among {labels.size} labels): renumber them"
            )
        return centred_one_hot(labels, largest + 1)
    return labels
