"""A folder of Parquet files as the Hugging Face hub has them."""

import contextlib
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillhouse.data.arrays import as_labels, check_classes, size_name
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.sources.decoding import ImageStack, decoding_pool
from stillhouse.data.sources.naming import naming

_IMAGE_COLUMNS = ("image", "img")
_LABEL_COLUMNS = ("label", "labels", "fine_label")  # the last is CIFAR-100's
_SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)")
_ROWS = 4096  # decoded at a time


def has_parquet(folder: pathlib.Path) -> bool:
    """Return whether a folder holds Parquet files."""
    return any(folder.glob("*.parquet"))


def load_parquet(folder: pathlib.Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Read a folder of Parquet files with a column of encoded images and a column of labels.

    Files whose names begin with `train` and `test` are the splits, one or several of each
    (`train-00000-of-00002.parquet`); where no `test` file is, files that begin with `val` are the
    test split. If no name begins so, all files together are one split. Without a test split, a
    part of the train images is held out.

    The image column is called `image` or `img` and holds encoded files: bytes, or a struct with a
    field `bytes`. The label column is called `label`, `labels` or `fine_label`. Class names come
    from the `huggingface` metadata of the first train file, where it has them.

    Images stay uint8, 154 MB for CIFAR-10's train images; decoding takes seconds.

    Args:
        folder: the folder.
        test_fraction: the share held out where there are no test files.
        seed: the seed of that split.

    Raises:
        ValueError: naming file and row, if a file is missing, damaged or lacks a column, an image
            cannot be decoded or has another size, or a label is no class.
        OSError: if a file cannot be read.
    """
    splits = _split_files(folder)
    class_names = _class_names(splits["train"][0])
    arrays = {}
    for split, files in splits.items():
        parts = [_read_file(path, class_names) for path in files]
        for path, (images, _) in zip(files, parts, strict=True):
            if images.shape[1:3] != parts[0][0].shape[1:3]:
                raise ValueError(
                    f"{path}: images must have one size: they are {size_name(images.shape[1:3])}, "
                    f"those of {files[0].name} {size_name(parts[0][0].shape[1:3])}"
                )
        arrays[f"x_{split}"] = _join([images for images, _ in parts])
        arrays[f"y_{split}"] = np.concatenate([labels for _, labels in parts])
    if "test" in splits and arrays["x_train"].shape[1:3] == arrays["x_test"].shape[1:3]:
        # One colour image makes both splits colour.
        channels = max(x.shape[3] for x in (arrays["x_train"], arrays["x_test"]))
        for name in ("x_train", "x_test"):
            arrays[name] = _with_channels(arrays[name], channels)
    with naming(folder):
        return dataset_from_arrays(
            **arrays,
            name=folder.name,
            class_names=class_names,
            test_fraction=test_fraction,
            seed=seed,
        )


def _split_files(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    files = sorted(folder.glob("*.parquet"))
    groups = {
        prefix: [path for path in files if path.name.startswith(prefix)]
        for prefix in ("train", "test", "val")
    }
    if not any(groups.values()):
        groups["train"] = files
    if not groups["train"]:
        raise ValueError(
            f"{folder}: no Parquet file whose name begins with `train`, found "
            f"{', '.join(path.name for path in files[:4])}"
        )
    splits = {"train": groups["train"]}
    if groups["test"] or groups["val"]:
        splits["test"] = groups["test"] or groups["val"]
    for paths in splits.values():
        _check_shards(folder, paths)
    return splits


def _check_shards(folder: pathlib.Path, paths: Sequence[pathlib.Path]) -> None:
    names = {path.name for path in paths}
    for path in paths:
        match = _SHARD.fullmatch(path.stem)
        for i in range(int(match[3]) if match else 0):
            assert match is not None
            name = f"{match[1]}-{i:0{len(match[2])}d}-of-{match[3]}.parquet"
            if name not in names:
                raise ValueError(f"{folder}: the file {name} is missing beside {path.name}")


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[pq.ParquetFile]:
    """Open a file, and name it in every error of reading it."""
    with path.open("rb") as handle, naming(path):
        try:
            with pq.ParquetFile(handle) as file:
                yield file
        # Arrow's errors on damaged data are these, and some of them are OSError.
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"not a Parquet file, or damaged ({error})") from error


def _class_names(path: pathlib.Path) -> list[str] | None:
    """Return the class names of the file's metadata, or None where it has none."""
    with _opened(path) as file:
        column = _column(file, _LABEL_COLUMNS)
        metadata = file.schema_arrow.metadata or {}
    try:
        feature: Any = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None  # written by another program, or with another metadata layout
    return [str(name) for name in names] if names else None


def _column(file: pq.ParquetFile, names: Sequence[str]) -> str:
    columns = file.schema_arrow.names
    for name in names:
        if name in columns:
            return name
    wanted = " or ".join(f"`{name}`" for name in names)
    raise ValueError(f"no column {wanted}, found {', '.join(columns)}")


def _read_file(path: pathlib.Path, class_names: list[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, uint8 `[n, h, w, c]`, and the labels, int64 `[n]`, of a file."""
    with _opened(path) as file, decoding_pool() as pool:
        columns = [_column(file, _IMAGE_COLUMNS), _column(file, _LABEL_COLUMNS)]
        _check_types(file.schema_arrow, *columns)
        if file.metadata.num_rows == 0:
            raise ValueError("the file has no rows")
        stack = ImageStack(file.metadata.num_rows)
        labels: list[np.ndarray] = []
        rows = 0
        for batch in file.iter_batches(_ROWS, columns=columns):
            files = batch.column(columns[0])
            if pa.types.is_struct(files.type):
                files = files.field("bytes")
            stack.extend(files.to_pylist(), pool)
            labels.append(_label_array(batch.column(columns[1]), rows))
            rows += batch.num_rows
        y = as_labels(np.concatenate(labels), f"column `{columns[1]}`")
        if class_names is not None:
            check_classes(y, len(class_names), f"column `{columns[1]}`")
        return stack.images(), y


def _check_types(schema: pa.Schema, image_column: str, label_column: str) -> None:
    image, label = schema.field(image_column).type, schema.field(label_column).type
    if pa.types.is_struct(image):
        index = image.get_field_index("bytes")
        image = image.field(index).type if index >= 0 else image
    if not (pa.types.is_binary(image) or pa.types.is_large_binary(image)):
        raise ValueError(
            f"column `{image_column}` must hold image files, as bytes or as a struct with a field "
            f"`bytes`, got the type {schema.field(image_column).type}"
        )
    if not (pa.types.is_integer(label) or pa.types.is_floating(label)):
        raise ValueError(f"column `{label_column}` must hold integers, got the type {label}")


def _label_array(column: pa.Array, first: int) -> np.ndarray:
    if column.null_count:
        row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"row {row} has no label")
    return column.to_numpy(zero_copy_only=False)


def _join(parts: list[np.ndarray]) -> np.ndarray:
    channels = max(part.shape[3] for part in parts)
    return np.concatenate([_with_channels(part, channels) for part in parts])


def _with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    return images if images.shape[3] == channels else np.repeat(images, channels, axis=3)
