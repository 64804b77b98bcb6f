"""Whatever bytes a file holds: reading them ends in a result or one line, in little memory."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stillhouse.data import Card, DatasetInfo, DistilledSet, load_dataset, load_distilled
from stillhouse.data.releases.index import COLUMNS, parse_index

MOST = 200 * 2**20
FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def within_bounds(read):
    """Call a function, which may raise a `ValueError` of one line, and take 200 MB."""
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    try:
        return read()
    except ValueError as error:
        assert str(error) and "Traceback" not in str(error) and "object at 0x" not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak + max(pa.default_memory_pool().max_memory() - before, 0) < MOST
    return None


@st.composite
def altered(draw, data):
    """Bytes with some replaced, cut out or repeated."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["bytes", "number", "cut"]))
        if kind == "bytes":
            data[at : at + 1] = draw(st.binary(max_size=4))
        elif kind == "number":  # What a header might have there: a length, a count.
            value = draw(st.sampled_from([0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1]))
            data[at : at + 4] = struct.pack("<I", value)
        else:
            del data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


def a_set():
    buffer = io.BytesIO()
    info = DatasetInfo("digits", "0" * 64, ("a", "b"), (3, 3, 1), (0.0, 1.0))
    card = Card("kip", {}, {"dataset": "digits"}, 0, info).to_json()
    arrays = {"images": np.random.default_rng(0).random((4, 3, 3, 1)), "labels": np.eye(4)[:, :2]}
    np.savez(buffer, **arrays, card=np.array(card), transform_kind=np.array("none"))
    return buffer.getvalue()


def a_parquet():
    buffer = io.BytesIO()
    files = []
    for shade in (0, 90, 180, 255):
        file = io.BytesIO()
        Image.new("L", (3, 3), shade).save(file, "PNG")
        files.append(file.getvalue())
    pq.write_table(pa.table({"image": files, "label": [0, 1, 0, 1]}), buffer)
    return buffer.getvalue()


def an_index():
    row = "FC1,digits,10,True,True,False,5,0.9,0.01,a.npz," + "0" * 64
    return (",".join(COLUMNS) + "\n" + row + "\n").encode()


@FUZZ
@given(data=altered(a_set()))
def test_npz_files(tmp_path, data):
    path = tmp_path / "set.npz"
    path.write_bytes(data)
    found = within_bounds(lambda: load_distilled(path))
    assert found is None or isinstance(found, DistilledSet)


DTYPES = st.sampled_from(["<f4", "|u1", "<i8", "<U1", "<U0", "|O", "<c16", "|V0", "<f16"])
LENGTHS = st.sampled_from([0, 1, 2, 3, 1000, 2**31, 2**63, -1])


@FUZZ
@given(dtype=DTYPES, shape=st.lists(LENGTHS, max_size=5), version=st.sampled_from([1, 2, 3, 9]))
def test_headers_of_arrays(tmp_path, dtype, shape, version):
    header = repr({"descr": dtype, "fortran_order": False, "shape": tuple(shape)}).encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    member = b"\x93NUMPY" + bytes([version, 0]) + length + header + bytes(72)
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("images", "labels", "card", "transform_kind"):
            archive.writestr(f"{name}.npy", member)
    within_bounds(lambda: load_distilled(path))
    within_bounds(lambda: load_dataset(path))


LABELS = st.integers(0, 5) | st.sampled_from([32768, 65535, 65536, 2**26, 2**62, -1, -(2**62)])


@FUZZ
@given(labels=st.lists(LABELS, min_size=1, max_size=4))
def test_labels(tmp_path, labels):
    path = tmp_path / "set.npz"
    np.savez(path, images=np.zeros((len(labels), 2, 2)), labels=np.array(labels))
    found = within_bounds(lambda: load_distilled(path))
    assert found is None or found.labels.shape == (len(labels), max(labels) + 1)


def test_arrays_of_one_value_that_unpack_to_more_than_there_may_be(tmp_path):
    path = tmp_path / "set.npz"
    header = {"descr": "|u1", "fortran_order": False, "shape": (256, 1024, 1024)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("images.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(256):
                file.write(bytes(2**20))
        with archive.open("labels.npy", "w") as file:
            np.lib.format.write_array(file, np.arange(256))
    assert path.stat().st_size < 2**21
    assert within_bounds(lambda: load_distilled(path)) is None
    assert within_bounds(lambda: load_dataset(path)) is None


FIELDS = [
    *("name", "fingerprint", "class_names", "image_shape", "pixel_range", "method", "kernel"),
    *("config", "seed", "scores", "software", "label_convention", "format_version", "dataset"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@FUZZ
@given(field=st.sampled_from(FIELDS), value=JSON)
def test_cards(field, value):
    info = DatasetInfo("digits", "0" * 64, ("a", "b"), (3, 3, 1), (0.0, 1.0))
    card = json.loads(Card("kip", {}, {}, 0, info).to_json())
    (card["dataset"] if field in card["dataset"] else card)[field] = value
    found = within_bounds(lambda: Card.from_json(json.dumps(card)))
    if found is not None:
        assert (
            found.dataset.name + found.method + "".join(found.dataset.class_names)
        ).isprintable()


@FUZZ
@given(text=st.binary(max_size=300))
def test_texts_that_are_no_card(text):
    within_bounds(lambda: Card.from_json(text.decode(errors="surrogateescape")))
    within_bounds(lambda: Card.from_json("[" * 100_000))


@FUZZ
@given(data=altered(an_index()))
def test_indexes(data):
    within_bounds(lambda: parse_index(data, "index.csv"))


@FUZZ
@given(data=altered(a_parquet()))
def test_parquet_files(tmp_path, data):
    (tmp_path / "train.parquet").write_bytes(data)
    within_bounds(lambda: load_dataset(tmp_path, test_fraction=0.5))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_small_image_said_to_stand_in_every_row(tmp_path, compression):
    """A dictionary of one image, for a million rows: few bytes, and much memory if unpacked."""
    file = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(file, "PNG")
    image = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), [file.getvalue()])
    table = pa.table({"image": image.cast(pa.binary()), "label": [0] * 200_000})
    pq.write_table(table, tmp_path / "train.parquet", compression="zstd" if compression else "none")
    with pytest.raises(ValueError, match="takes 600.0 GB of memory"):
        load_dataset(tmp_path)
