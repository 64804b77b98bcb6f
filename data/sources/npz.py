"""A dataset in one `.npz` file."""

import pathlib

from stillhouse.data.archive import listed, npz_names, read_npz
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.sources.naming import naming, source_name

# Names of train images, train labels, test images, test labels; the first are the arguments'.
_LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images", "labels", "test_images", "test_labels"),
)


def load_npz(
    path: pathlib.Path,
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    max_bytes: int | None = None,
) -> Dataset:
    """Read a dataset from a `.npz` file with one of these sets of arrays.

    - `images`, `labels`, and perhaps `test_images`, `test_labels`;
    - `x_train`, `y_train`, and perhaps `x_test`, `y_test` (as Keras has them);
    - `train_images`, `train_labels`, and perhaps `test_images`, `test_labels` (as MedMNIST).

    An array `class_names` of texts names the classes. Other arrays are not read.

    Args:
        path: the file.
        test_fraction: the share held out where there are no test images.
        seed: the seed of that split.
        max_bytes: what the arrays may take; None for the rule of `limits.check_unpacked`.

    Raises:
        ValueError: naming the file, if it is damaged, lacks the arrays, they are no dataset, or it
            unpacks to too much.
        OSError: if it is missing or cannot be read.
    """
    present = npz_names(path)
    for layout in _LAYOUTS:
        if layout[0] in present and layout[1] in present:
            break
    else:
        raise ValueError(
            f"{path}: expected the arrays `images` and `labels`, or `x_train`, `y_train`, `x_test` "
            "and `y_test`, or `train_images`, `train_labels`, `test_images` and `test_labels`; "
            f"found {listed(present)}"
        )
    wanted = [name for name in (*layout, "class_names") if name in present]
    arrays = read_npz(path, wanted, max_bytes=max_bytes)
    test = [name for name in layout[2:] if name in arrays]
    if len(test) == 1:
        raise ValueError(
            f"{path}: expected both `{layout[2]}` and `{layout[3]}`, found `{test[0]}`"
        )
    names = arrays.get("class_names")
    with naming(path):
        if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
            raise ValueError(f"`class_names` must be texts [k], got {names.dtype} {names.shape}")
        x, y, x_test, y_test = layout
        return dataset_from_arrays(
            arrays[x],
            arrays[y],
            arrays.get(x_test),
            arrays.get(y_test),
            # What the file calls them.
            argument_names=[f"`{name}`" for name in layout],
            name=source_name(path.with_suffix("")),
            class_names=None if names is None else names.tolist(),
            test_fraction=test_fraction,
            seed=seed,
        )
