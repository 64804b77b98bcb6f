"""A folder of image files, one subfolder for each class."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from stillhouse.data.archive import listed
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.sources.decoding import ImageStack, decoding_pool
from stillhouse.data.sources.naming import naming, resized_note, source_name
from stillhouse.data.splitting import check_fraction

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation")
_BATCH = 4096  # files handed to the threads at a time


def has_image_folder(folder: pathlib.Path) -> bool:
    """Return whether a folder holds folders of image files, as classes or in those of splits."""
    for inner in _folders(folder):
        split = inner.name.lower().startswith((*_TRAIN, *_TEST))
        if any(_has_images(path) for path in (inner, *(_folders(inner) if split else ()))):
            return True
    return False


def load_image_folder(
    folder: pathlib.Path,
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    image_size: tuple[int, int] | None = None,
    split: str | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """Read `train/<class>/*.png` and `test/<class>/*.png`, or `<class>/*.png` alone.

    It is the layout of torchvision's `ImageFolder` and of Hugging Face's `imagefolder`. Classes are
    the names of the folders, in alphabetical order; files in folders further down belong to their
    class too. `val` or `validation` is the test split where there is no `test`. Without a test
    split, a part of the train images is held out. Other files, and hidden ones, are passed over.

    Args:
        folder: the folder.
        test_fraction: the share held out where there is no test folder.
        seed: the seed of that split.
        image_size: height and width to which images are resized; None if they have one size.
        split: the folder of the train images, in place of `train`; behind a comma that of the test
            images, as `train,val`.
        max_bytes: what the images may take; None for half of the memory left.

    Raises:
        ValueError: naming the file, if an image cannot be decoded or has another size, a class has
            no train image, or memory would not do.
        OSError: if a file cannot be read.
    """
    splits = _splits(folder, split)
    with naming(folder):
        check_fraction(test_fraction, has_test=len(splits) == 2)
    names = sorted(path.name for path in _folders(splits[0]))
    files: list[pathlib.Path] = []
    labels: list[int] = []
    counts: list[int] = []
    for root in splits:
        found = _classes(root)
        unknown = [name for name in found if name not in names]
        if unknown:
            raise ValueError(
                f"{root / unknown[0]}: a class that {splits[0]} has not; it has {listed(names)}"
            )
        for number, name in enumerate(names):
            files += found.get(name, [])
            labels += [number] * len(found.get(name, []))
        counts.append(len(files) - sum(counts))
    stack = ImageStack(
        len(files),
        size=image_size,
        name=lambda number: str(files[number].relative_to(folder)),
        max_bytes=max_bytes,
    )
    with naming(folder), decoding_pool() as pool:
        for start in range(0, len(files), _BATCH):
            stack.extend(files[start : start + _BATCH], pool)
    images, y, n = stack.images(), np.array(labels), counts[0]
    test = (images[n:], y[n:]) if len(splits) == 2 else (None, None)
    with naming(folder):
        return dataset_from_arrays(
            images[:n],
            y[:n],
            *test,
            name=source_name(folder),
            class_names=names,
            test_fraction=test_fraction,
            seed=seed,
            notes=resized_note(stack.resized, image_size),
        )


def _splits(folder: pathlib.Path, split: str | None) -> list[pathlib.Path]:
    """Return the folder of the train split, and that of the test split if there is one."""
    there = {path.name.lower(): path for path in _folders(folder)}
    train, _, test = (split or "").lower().partition(",")
    for name in (train, test):
        if name and name not in there:
            raise ValueError(f"{folder}: `split` names no folder {name}, found {listed(there)}")
    found = [there[name] for name in ((train,) if train else _TRAIN) if name in there]
    if not found:
        return [folder]
    rest = [there[name] for name in ((test,) if test else _TEST) if name in there]
    return [found[0], *[path for path in rest if path != found[0]][:1]]


def _classes(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    classes = {path.name: _images(path) for path in _folders(root)}
    empty = [name for name, files in classes.items() if not files]
    if empty:
        raise ValueError(f"{root / empty[0]}: a class without an image file")
    if not classes:
        raise ValueError(
            f"{root}: no folders of classes; put the images of each class into one, as "
            f"{root.name}/cat/1.png"
        )
    return classes


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the image files of a folder and below, in order."""
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [pathlib.Path(root, name) for name in sorted(names) if _is_image(name)]
    return files


def _has_images(folder: pathlib.Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_is_image(entry.name) for entry in entries)


def _is_image(name: str) -> bool:
    return name.lower().endswith(_ENDINGS) and not name.startswith(".")


def _folders(folder: pathlib.Path) -> Sequence[pathlib.Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
