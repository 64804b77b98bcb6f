"""A folder of Parquet files as the Hugging Face hub has them."""

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillhouse.data.archive import listed
from stillhouse.data.arrays import as_labels, check_classes
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.limits import check_unpacked
from stillhouse.data.sources.decoding import (
    ImageStack,
    decoding_pool,
    join_splits,
    other_sizes,
    with_channels,
)
from stillhouse.data.sources.naming import chosen_column, naming, resized_note, source_name
from stillhouse.data.splitting import check_fraction

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")  # the last is CIFAR-100's
_SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)")
_ROWS = 4096  # decoded at a time,
# or fewer where one image could be as large as all are said to be: repeated, they unpack to more.
_BATCH_BYTES = 2**28


@dataclasses.dataclass(frozen=True)
class _Columns:
    """What is read of a file, and how.

    Attributes:
        image: the name of the image column; None for the usual ones.
        label: the name of the label column; None for the usual ones.
        image_size: what images are resized to.
        max_bytes: what they may take.
    """

    image: str | None
    label: str | None
    image_size: tuple[int, int] | None
    max_bytes: int | None

    def names(self, file: pq.ParquetFile) -> tuple[str, str]:
        """Return the names of the image column and of the label column."""
        found = file.schema_arrow.names
        return (
            chosen_column(found, "image_column", self.image, IMAGE_COLUMNS),
            chosen_column(found, "label_column", self.label, LABEL_COLUMNS),
        )


def has_parquet(folder: pathlib.Path) -> bool:
    """Return whether a folder holds Parquet files."""
    return any(folder.glob("*.parquet"))


def load_parquet(
    folder: pathlib.Path,
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    image_size: tuple[int, int] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    split: str | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """Read a folder of Parquet files with a column of encoded images and a column of labels.

    Files whose names begin with `train` and `test` are the splits, one or several of each
    (`train-00000-of-00002.parquet`); where no `test` file is, files that begin with `val` are the
    test split. If no name begins so, all files together are one split. Without a test split, a
    part of the train images is held out.

    The image column holds encoded files: bytes, or a struct with a field `bytes`. Labels are
    integers or texts. Class names come from the `huggingface` metadata of the first train file,
    where it has them.

    Images stay uint8, 154 MB for CIFAR-10's train images; decoding takes seconds.

    Args:
        folder: the folder.
        test_fraction: the share held out where there are no test files.
        seed: the seed of that split.
        image_size: height and width to which images are resized; None if they have one size.
        image_column: the column of images; None for `image` or `img`.
        label_column: the column of labels; None for `label`, `labels` or `fine_label`.
        split: what the names of the train files begin with, in place of `train`; behind a comma
            that of the test files, as `train,validation`.
        max_bytes: what the images may take; None for the rule of `limits`.

    Raises:
        ValueError: naming file and row, if a file is missing, damaged or lacks a column, an image
            cannot be decoded or has another size, a label is no class, or memory would not do.
        OSError: if a file cannot be read.
    """
    splits = _split_files(folder, split)
    with naming(folder):
        check_fraction(test_fraction, has_test="test" in splits)
    columns = _Columns(image_column, label_column, image_size, max_bytes)
    class_names = _class_names(splits["train"][0], columns)
    arrays: dict[str, Any] = {}
    resized = 0
    for name, files in splits.items():
        parts = []
        for path in files:
            stack, labels = _read_file(path, columns, class_names)
            parts.append((stack.images(), labels))
            resized += stack.resized
        for path, (images, _) in zip(files, parts, strict=True):
            size, first = images.shape[1:3], parts[0][0].shape[1:3]
            if size != first:
                sizes = other_sizes((path.name, size), (files[0].name, first))
                raise ValueError(f"{folder}: {sizes}")
        arrays[f"x_{name}"] = _join([images for images, _ in parts])
        arrays[f"y_{name}"] = np.concatenate([labels for _, labels in parts])
    with naming(folder):
        if "test" in splits:
            called = (splits["train"][0].name, splits["test"][0].name)
            joined = join_splits(arrays["x_train"], arrays["x_test"], called)
            arrays["x_train"], arrays["x_test"] = joined
        return dataset_from_arrays(
            **arrays,
            name=source_name(folder),
            class_names=class_names,
            test_fraction=test_fraction,
            seed=seed,
            notes=resized_note(resized, image_size),
        )


def _split_files(folder: pathlib.Path, split: str | None) -> dict[str, list[pathlib.Path]]:
    files = sorted(folder.glob("*.parquet"))
    train, _, test = (split or "train").partition(",")
    prefixes = {"train": (train,), "test": (test,) if test else ("test", "val")}
    groups: dict[str, list[pathlib.Path]] = {}
    for name, beginnings in prefixes.items():
        for beginning in beginnings:
            found = [path for path in files if path.name.startswith(beginning)]
            groups[name] = groups.get(name) or found
    if split is None and not any(groups.values()):
        groups["train"] = files
    missing = train if not groups["train"] else test if test and not groups["test"] else ""
    if missing:
        raise ValueError(
            f"{folder}: no Parquet file whose name begins with `{missing}`, found "
            f"{listed(path.name for path in files)}; name the train files by `split`"
        )
    splits = {"train": groups["train"]}
    rest = [path for path in groups["test"] if path not in groups["train"]]
    if rest:
        splits["test"] = rest
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


def _class_names(path: pathlib.Path, columns: _Columns) -> list[str] | None:
    """Return the class names of the file's metadata, or None where it has none."""
    with _opened(path) as file:
        _, column = columns.names(file)
        metadata = file.schema_arrow.metadata or {}
    try:
        feature: Any = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None  # written by another program, or with another metadata layout
    return [str(name) for name in names] if names else None


def _read_file(
    path: pathlib.Path, columns: _Columns, class_names: list[str] | None
) -> tuple[ImageStack, np.ndarray]:
    """Return the images and the labels `[n]` of a file, numbers or texts."""
    with _opened(path) as file, decoding_pool() as pool:
        image, label = columns.names(file)
        _check_types(file.schema_arrow, image, label)
        if file.metadata.num_rows <= 0:
            raise ValueError("the file has no rows")
        unpacked = _unpacked(file, (image, label))
        check_unpacked(unpacked, path.stat().st_size, columns.max_bytes)
        stack = ImageStack(
            file.metadata.num_rows, size=columns.image_size, max_bytes=columns.max_bytes
        )
        labels: list[np.ndarray] = []
        rows = 0
        size = min(max(_BATCH_BYTES // max(unpacked, 1), 64), _ROWS)
        for batch in file.iter_batches(size, columns=[image, label]):
            files = batch.column(image)
            if pa.types.is_struct(files.type):
                files = files.field("bytes")
            stack.extend(files.to_pylist(), pool)
            labels.append(_label_array(batch.column(label), rows))
            rows += batch.num_rows
        y = np.concatenate(labels)
        if y.dtype.kind != "U":
            y = as_labels(y, f"column `{label}`")
            if class_names is not None:
                check_classes(y, len(class_names), f"column `{label}`")
        stack.images()  # As many as were announced.
        return stack, y


def _unpacked(file: pq.ParquetFile, columns: Sequence[str]) -> int:
    """Return how large the largest row group says that these columns are."""
    largest = 0
    for i in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(i)
        parts = [group.column(j) for j in range(group.num_columns)]
        wanted = [c for c in parts if c.path_in_schema.split(".")[0] in columns]
        largest = max(largest, sum(c.total_uncompressed_size for c in wanted))
    return largest


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
    if pa.types.is_dictionary(label):
        label = label.value_type
    text = pa.types.is_string(label) or pa.types.is_large_string(label)
    if not (pa.types.is_integer(label) or pa.types.is_floating(label) or text):
        raise ValueError(
            f"column `{label_column}` must hold integers or texts, got the type {label}"
        )


def _label_array(column: pa.Array, first: int) -> np.ndarray:
    if column.null_count:
        row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"row {row} has no label")
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    array = column.to_numpy(zero_copy_only=False)
    return array.astype(str) if array.dtype == object else array


def _join(parts: list[np.ndarray]) -> np.ndarray:
    channels = max(part.shape[3] for part in parts)
    return np.concatenate([with_channels(part, channels) for part in parts])
