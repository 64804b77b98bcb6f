"""Distilled sets that PyTorch saved, read as weights alone: no code in them is run."""

import importlib
import pathlib
import zipfile
from typing import Any

import numpy as np

from stillhouse.data.limits import check_unpacked

ENDINGS = (".pt", ".pth")
# Where others keep the labels: beside the images, under the same name with this changed.
_IMAGES, _LABELS = "images", "labels"


def read_torch_set(path: pathlib.Path, *, max_bytes: int | None = None) -> dict[str, np.ndarray]:
    """Return `images` and `labels` of a file of PyTorch.

    It holds a dict with `images` and `labels`; a pair of both; a dict with `data`, a list of such
    pairs, of which the first is taken (as DC and DM save them); or images alone, whose labels lie
    beside it (`images_best.pt` and `labels_best.pt`, as MTT saves them).

    Args:
        path: the file.
        max_bytes: what it may unpack to; None for the rule of `limits.check_unpacked`.

    Raises:
        ValueError: if it is damaged, holds more than tensors, or none of the above.
        ImportError: if torch is not installed.
        OSError: if it cannot be read.
    """
    content = _load(path, max_bytes)
    if isinstance(content, dict) and isinstance(content.get("data"), list) and content["data"]:
        content = content["data"][0]
    if isinstance(content, dict) and {"images", "labels"} <= content.keys():
        content = (content["images"], content["labels"])
    beside = path.with_name(path.name.replace(_IMAGES, _LABELS))
    if hasattr(content, "numpy") and beside != path and beside.exists():
        content = (content, _load(beside, max_bytes))
    tensors = isinstance(content, tuple | list) and len(content) == 2
    if not tensors or not all(hasattr(tensor, "numpy") for tensor in content):
        raise ValueError(
            f"{path}: not a distilled set: expected tensors `images` and `labels`, a pair of them, "
            f"or a file of labels beside it, {beside.name}"
        )
    images, labels = (tensor.detach().cpu().numpy() for tensor in content)
    return {"images": images, "labels": labels}


def _load(path: pathlib.Path, max_bytes: int | None) -> Any:
    packed = path.stat().st_size
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(f"{path} needs torch: pip install torch", name="torch") from error
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_unpacked(
                    sum(member.file_size for member in archive.infolist()), packed, max_bytes
                )
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    # What is raised on damage, and on what is no tensor, differs from version to version.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{path}: not a file of tensors alone ({reason})") from error
