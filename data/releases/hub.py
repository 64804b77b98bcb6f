"""A distilled set laid out as a repository of the Hugging Face hub."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from stillhouse.data.card import Card
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.releases.folders import LocalFolder, add_files
from stillhouse.data.releases.names import set_name
from stillhouse.data.releases.publishing import read_publishable
from stillhouse.data.releases.readme import readme

_PARQUET = "data/train-00000-of-00001.parquet"


def lay_out_hub(
    file: Path, folder: Path, *, name: str | None = None, license: str = "unknown"
) -> list[Path]:
    """Write a distilled set as a folder that can be pushed to the Hugging Face hub as it is.

    It holds `README.md`, the set's own `.npz`, and a Parquet file with a line for each image:
    `image`, a PNG in the original colours (8 bits, clipped to the range of the real pixels);
    `label`, the class of the largest entry of the label; `pixels` and `soft_label`, the exact
    float32 arrays `images` and `labels` of the set. `load_dataset` of this package reads the folder
    `data` as a dataset of pictures. Nothing is overwritten, and if anything fails, nothing is left.

    Args:
        file: the set; it must carry its card and its transform.
        folder: made if it is not there; may hold other files.
        name: of the set; None for one in the form of the published ones.
        license: as the hub calls it.

    Returns:
        The files.

    Raises:
        ValueError: if the set is damaged or lacks card or transform, or a file is there already
            with another content.
        OSError: if a file cannot be read or written.
    """
    content, distilled = read_publishable(file)
    name = set_name(distilled) if name is None else name
    table = _as_table(distilled)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    front = _front_matter(distilled, table.nbytes, len(buffer.getvalue()))
    own = f"{name}.npz"
    card = readme(distilled, name, license=license, files=(own, _PARQUET), extra=front)
    files = {own: content, _PARQUET: buffer.getvalue(), "README.md": card.encode()}
    add_files(LocalFolder(folder), files)
    return [folder / path for path in files]


def _as_table(distilled: DistilledSet) -> pa.Table:
    """Return the set as a table, with the types that the hub's library writes."""
    pictures = [
        {"bytes": _png(picture), "path": f"{i:05}.png"}
        for i, picture in enumerate(_pictures(distilled))
    ]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    floats = pa.list_(pa.list_(pa.list_(pa.float32())))
    columns = {
        "image": pa.array(pictures, struct),
        "label": pa.array(distilled.labels.argmax(axis=1), pa.int64()),
        "soft_label": pa.array(list(distilled.labels), pa.list_(pa.float32())),
        "pixels": pa.array([image.tolist() for image in distilled.images], floats),
    }
    info = json.dumps({"info": {"features": _features(distilled)}})
    return pa.table(columns).replace_schema_metadata({"huggingface": info})


def _features(distilled: DistilledSet) -> dict[str, Any]:
    shape = list(distilled.images.shape[1:])
    value = {"dtype": "float32", "_type": "Value"}
    return {
        "image": {"_type": "Image"},
        "label": {"names": list(_card(distilled).dataset.class_names), "_type": "ClassLabel"},
        "soft_label": {"feature": value, "_type": "Sequence"},
        "pixels": {"shape": shape, "dtype": "float32", "_type": "Array3D"},
    }


def _front_matter(distilled: DistilledSet, nbytes: int, download: int) -> dict[str, Any]:
    names = {str(i): name for i, name in enumerate(_card(distilled).dataset.class_names)}
    shape = list(distilled.images.shape[1:])
    features = [
        {"name": "image", "dtype": "image"},
        {"name": "label", "dtype": {"class_label": {"names": names}}},
        {"name": "soft_label", "sequence": "float32"},
        {"name": "pixels", "dtype": {"array3_d": {"shape": shape, "dtype": "float32"}}},
    ]
    split = {"name": "train", "num_bytes": nbytes, "num_examples": len(distilled.images)}
    files = [{"split": "train", "path": "data/train-*.parquet"}]
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {
            "features": features,
            "splits": [split],
            "download_size": download,
            "dataset_size": nbytes,
        },
    }


def _pictures(distilled: DistilledSet) -> np.ndarray:
    """Return the images as uint8, `[s, h, w]` for grey ones and `[s, h, w, 3]` for others."""
    low, high = _card(distilled).dataset.pixel_range
    scaled = (distilled.original_images() - low) / max(high - low, 1e-12)
    pixels = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    # What has neither one channel nor three has no colours of its own.
    return pixels if pixels.shape[3] == 3 else np.rint(pixels.mean(axis=3)).astype(np.uint8)


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _card(distilled: DistilledSet) -> Card:
    assert distilled.card is not None
    return distilled.card
