import io
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from stillhouse.data import load_dataset
from stillhouse.data.distilled import load_distilled
from stillhouse.data.releases.hub import lay_out_hub

NAME = "FC1_ssize6_nozca_l_noaug_ckpt7"
PARQUET = "data/train-00000-of-00001.parquet"


@pytest.fixture
def hub(tmp_path):
    return tmp_path / "hub"


def test_the_folder_holds_the_set_in_both_forms(hub, make_set):
    file = make_set(transform="standardise")
    paths = lay_out_hub(file, hub)
    assert {path.relative_to(hub).as_posix() for path in paths} == {
        f"{NAME}.npz",
        PARQUET,
        "README.md",
    }
    assert {path for path in hub.rglob("*") if path.is_file()} == set(paths)
    assert (hub / f"{NAME}.npz").read_bytes() == file.read_bytes()
    distilled = load_distilled(file)
    table = pq.read_table(hub / PARQUET)
    assert np.array_equal(np.array(table["pixels"].to_pylist(), np.float32), distilled.images)
    assert np.array_equal(np.array(table["soft_label"].to_pylist(), np.float32), distilled.labels)
    assert table["label"].to_pylist() == distilled.labels.argmax(axis=1).tolist()


def test_the_pictures_have_the_original_colours(hub, make_set):
    file = make_set(transform="standardise")
    lay_out_hub(file, hub)
    distilled = load_distilled(file)
    low, high = distilled.card.dataset.pixel_range
    first = pq.read_table(hub / PARQUET)["image"][0].as_py()
    pixels = np.asarray(Image.open(io.BytesIO(first["bytes"])))
    expected = (distilled.original_images()[0, ..., 0] - low) / (high - low) * 255
    assert pixels.dtype == np.uint8 and np.abs(pixels - expected).max() <= 0.51


def test_our_own_reader_takes_the_pictures_as_a_dataset(hub, make_set):
    lay_out_hub(make_set(), hub)
    dataset = load_dataset(hub / "data", test_fraction=0.5)
    assert dataset.class_names == ("a", "b", "c") and dataset.image_shape == (5, 4, 1)
    assert len(dataset.x_train) + len(dataset.x_test) == 6


def test_the_card_describes_the_table(hub, make_set):
    lay_out_hub(make_set(), hub)
    _, matter, _ = re.split(
        r"^---$", (hub / "README.md").read_text(), maxsplit=2, flags=re.MULTILINE
    )
    card = yaml.safe_load(matter)
    assert [f["name"] for f in card["dataset_info"]["features"]] == pq.read_table(
        hub / PARQUET
    ).column_names
    (split,) = card["configs"][0]["data_files"]
    assert list(hub.glob(split["path"])) == [hub / PARQUET]
    assert card["dataset_info"]["download_size"] == (hub / PARQUET).stat().st_size


def test_into_a_clone_of_a_repository_what_is_there_stays(hub, make_set):
    (hub / ".git").mkdir(parents=True)
    lay_out_hub(make_set(), hub)
    lay_out_hub(make_set(), hub)  # Again changes nothing.
    before = (hub / "README.md").read_bytes()
    with pytest.raises(ValueError, match="is there already, with another content"):
        lay_out_hub(make_set(1), hub)
    assert (hub / "README.md").read_bytes() == before


def test_colour_pictures_stay_in_colour(hub, make_set, tmp_path):
    import dataclasses

    from stillhouse.data import save_distilled

    distilled = load_distilled(make_set())
    info = dataclasses.replace(distilled.card.dataset, image_shape=(5, 4, 3))
    images = np.concatenate([distilled.images, 255 - distilled.images, distilled.images * 0], 3)
    card = dataclasses.replace(distilled.card, dataset=info)
    save_distilled(tmp_path / "rgb.npz", dataclasses.replace(distilled, images=images, card=card))
    lay_out_hub(tmp_path / "rgb.npz", hub)
    picture = Image.open(io.BytesIO(pq.read_table(hub / PARQUET)["image"][0].as_py()["bytes"]))
    assert picture.mode == "RGB" and picture.getextrema()[2] == (0, 0)
