"""How a dataset is read, as flags that many commands have. Nothing here imports JAX."""

import dataclasses
import re
from typing import Any

from stillhouse.methods.options import Checked, at_least, option

_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
# Known here without their module, which imports NumPy; a test holds the two together.
_TRANSFORMS = ("none", "standardise", "zca", "zca-rfad", "zca-frepo")
TRANSFORM_HELP = (
    "none, standardise, zca (as KIP whitens), zca-rfad, zca-frepo, or parts of these, such as "
    "zca:image_norm=no,regularisation=0.01"
)


def transform_kind(text: str) -> str | None:
    """Return what was expected of a transform's name that is wrong, None for a right one."""
    if text in _TRANSFORMS:
        return None
    from stillhouse.data.transforms import check_transform

    try:
        check_transform(text)
    except ValueError as error:
        if text.partition(":")[0] not in _TRANSFORMS:
            return f"one of {', '.join(_TRANSFORMS)}"
        return f"made of known parts ({error})"
    return None


@dataclasses.dataclass(frozen=True)
class ReadingConfig(Checked):
    """Reading the data; what is not given is as it was when the set was distilled.

    Attributes:
        test_fraction: the share held out where there are no test images.
        image_size: height x width to which images are resized.
        image_column: the column of images, of Parquet files.
        label_column: the column of labels.
        split: where the train images are, and behind a comma the test images.
        max_bytes: what a file may unpack to.
    """

    test_fraction: float | None = option(
        None,
        "the share of each class held out where there are no test images (default: 0.2)",
        check=lambda value: None if 0 < value < 1 else "more than zero, and less than one",
    )
    image_size: str | None = option(
        None,
        "resize images to HEIGHTxWIDTH, such as 32x32 (folders of images, Parquet)",
        check=lambda text: None if _SIZE.fullmatch(text) else "HEIGHTxWIDTH, such as 32x32",
    )
    image_column: str | None = option(None, "the column of images (Parquet; default: image or img)")
    label_column: str | None = option(
        None, "the column of labels (Parquet; default: label, labels or fine_label)"
    )
    split: str | None = option(
        None,
        "the folder or files of the train images, and behind a comma of the test images, such as "
        "train,validation",
    )
    max_bytes: int | None = option(
        None,
        "what a file may unpack to (default: fifty times its size, half of the memory left)",
        check=at_least(1),
    )

    def options(self, before: Any = None) -> dict[str, Any]:
        """Return the arguments of `load_dataset`.

        Args:
            before: the settings of an earlier run, from its card, for what is not given; None if
                there was none.
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in values.items():
            if value is None and before is not None and name != "max_bytes":
                values[name] = before.get(name)
        match = _SIZE.fullmatch(str(values["image_size"]))
        values["image_size"] = (int(match[1]), int(match[2])) if match else None
        if values["test_fraction"] is None:
            del values["test_fraction"]
        return values
