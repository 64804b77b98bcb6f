"""Small datasets, and the files they come in."""

import io
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stillhouse.data import Dataset, dataset_from_arrays


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def photographs(rng: np.random.Generator) -> Dataset:
    """60 train and 12 test images of 6x5x3, uint8, smooth so that pixels are correlated."""
    x = rng.normal(size=(72, 6, 5, 3)).cumsum(axis=1).cumsum(axis=2) * 12 + 128
    y = np.arange(72) % 4
    x = np.clip(x, 0, 255).astype(np.uint8)
    return dataset_from_arrays(x[:60], y[:60], x[60:], y[60:], class_names=list("abcd"))


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Return a function that encodes an array or a Pillow image as an image file."""

    def encode_image(image: np.ndarray | Image.Image, file_format: str = "PNG") -> bytes:
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        buffer = io.BytesIO()
        image.save(buffer, file_format)
        return buffer.getvalue()

    return encode_image


@pytest.fixture
def write_parquet(encode: Callable[..., bytes]) -> Callable[..., pathlib.Path]:
    """Return a function that writes a Parquet file as the Hugging Face hub has them."""

    def write(
        path: pathlib.Path,
        images: Sequence[np.ndarray | bytes | None],
        labels: Sequence[object],
        *,
        image_column: str = "image",
        label_column: str = "label",
        class_names: Sequence[str] | None = None,
        plain_bytes: bool = False,
    ) -> pathlib.Path:
        files = [encode(image) if isinstance(image, np.ndarray) else image for image in images]
        structs = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(files)]
        struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        column = pa.array(files, pa.binary()) if plain_bytes else pa.array(structs, struct)
        table = pa.table({image_column: column, label_column: pa.array(labels)})
        if class_names is not None:
            feature = {"names": list(class_names), "_type": "ClassLabel"}
            features = {image_column: {"_type": "Image"}, label_column: feature}
            info = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": info})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")
        return path

    return write


@pytest.fixture
def damaged() -> Callable[[bytes], Iterator[bytes]]:
    """Return a function that yields copies of a file, cut short or with one byte altered."""

    def damage(data: bytes) -> Iterator[bytes]:
        for share in (0.0, 0.1, 0.5, 0.9):
            yield data[: int(share * len(data))]
        yield data[:-1]
        generator = np.random.default_rng(1)
        for at in generator.choice(len(data), size=min(150, len(data)), replace=False):
            altered = bytearray(data)
            altered[at] ^= int(generator.integers(1, 256))
            yield bytes(altered)

    return damage


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """Return the folder of the real datasets, or skip."""
    beside = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("STILLHOUSE_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real datasets: {folder} does not exist (set STILLHOUSE_DATA)")
    return folder
