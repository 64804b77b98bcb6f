import dataclasses
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from stillhouse.data.archive import read_npz, write_npz
from stillhouse.data.card import Card
from stillhouse.data.distilled import DistilledSet, load, load_distilled, save_distilled
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform


@pytest.fixture
def distilled(photographs):
    """Four distilled images with a whitening and a card."""
    transform = fit_transform("zca", photographs.x_train)
    images = transform.apply(photographs.x_train[:4])
    card = Card("kip", {"kind": "ntk"}, {"steps": 3}, 0, photographs.info(), {"test_accuracy": 0.5})
    return DistilledSet(images, centred_one_hot(np.arange(4), 4), transform, card)


def test_a_set_comes_back_whole(tmp_path, distilled, photographs):
    path = tmp_path / "distilled.npz"
    save_distilled(path, distilled)
    loaded = load_distilled(path)
    np.testing.assert_array_equal(loaded.images, distilled.images)
    np.testing.assert_array_equal(loaded.labels, distilled.labels)
    assert loaded.card == distilled.card
    assert loaded.transform.kind == "zca"
    np.testing.assert_array_equal(
        loaded.transform.apply(photographs.x_test), distilled.transform.apply(photographs.x_test)
    )
    np.testing.assert_array_equal(loaded.original_images(), distilled.original_images())


@pytest.mark.parametrize("kind", ["none", "standardise", "zca"])
def test_original_images_are_in_raw_pixels(tmp_path, photographs, kind):
    transform = fit_transform(kind, photographs.x_train)
    images = transform.apply(photographs.x_train[:4])
    save_distilled(tmp_path / "d.npz", DistilledSet(images, np.eye(4), transform))
    originals = load_distilled(tmp_path / "d.npz").original_images()
    np.testing.assert_allclose(originals, transform.invert(images), rtol=1e-6)


def test_a_set_is_named_by_its_file_or_by_the_folder_of_its_run(tmp_path, distilled):
    with pytest.raises(ValueError, match="without a distilled.npz; name the file"):
        load(tmp_path)
    distilled.save(tmp_path / "distilled.npz")
    for name in (tmp_path, str(tmp_path / "distilled.npz")):
        np.testing.assert_array_equal(load(name).images, distilled.images)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")


def test_without_a_transform_nothing_can_be_inverted(distilled):
    bare = dataclasses.replace(distilled, transform=None)
    with pytest.raises(ValueError, match="carries no transform"):
        bare.invert(bare.images)


def test_any_numpy_reads_images_and_labels(tmp_path, distilled):
    save_distilled(tmp_path / "d.npz", distilled)
    with np.load(tmp_path / "d.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["images"], distilled.images)
        np.testing.assert_array_equal(archive["labels"], distilled.labels)
        assert json.loads(str(archive["card"]))["method"] == "kip"


def test_a_published_set_has_images_and_labels_alone(tmp_path, rng):
    images, labels = rng.normal(size=(10, 8, 8, 3)), rng.normal(size=(10, 5))
    np.savez(tmp_path / "published.npz", images=images, labels=labels)
    loaded = load_distilled(tmp_path / "published.npz")
    assert loaded.images.dtype == loaded.labels.dtype == np.float32
    np.testing.assert_allclose(loaded.images, images, rtol=1e-6)
    assert loaded.transform is None and loaded.card is None
    np.testing.assert_array_equal(loaded.original_images(), loaded.images)


def test_integer_labels_are_classes(tmp_path, rng):
    np.savez(tmp_path / "d.npz", images=rng.random((3, 4, 4)), labels=np.array([0, 2, 1]))
    labels = load_distilled(tmp_path / "d.npz").labels
    np.testing.assert_array_equal(labels, centred_one_hot(np.array([0, 2, 1]), 3))


def test_a_foreign_npz_is_named_with_what_it_holds(tmp_path):
    np.savez(tmp_path / "weights.npz", w=np.zeros(3), b=np.zeros(1))
    with pytest.raises(ValueError, match=r"weights.npz: not a distilled set.*found w, b"):
        load_distilled(tmp_path / "weights.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((4, 8)), "labels": np.zeros((4, 2))}, "`images` has flat images"),
        ({"images": np.zeros((4, 8, 8)), "labels": np.zeros((3, 2))}, "4 `images` but 3 `labels`"),
        ({"images": np.zeros((4, 8, 8)), "labels": np.zeros((4, 1))}, r"`labels` must be \[s, k\]"),
        ({"images": np.full((4, 8, 8), np.nan), "labels": np.zeros((4, 2))}, "must be finite"),
        ({"images": np.zeros((4, 8, 8)), "labels": np.full((4, 2), np.inf)}, "must be finite"),
        ({"images": np.zeros((4, 8, 8)), "labels": np.full(4, "cat")}, "must be numbers"),
    ],
)
def test_arrays_that_are_no_distilled_set_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=rf"bad.npz: .*{message}"):
        load_distilled(tmp_path / "bad.npz")


def altered(tmp_path, distilled, change):
    """Save a set and change some arrays of its file; None takes one away."""
    path = tmp_path / "altered.npz"
    save_distilled(path, distilled)
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    arrays = {**read_npz(path, names), **change}
    write_npz(path, {name: array for name, array in arrays.items() if array is not None})
    return path


def test_a_newer_format_is_refused(tmp_path, distilled):
    values = {**json.loads(distilled.card.to_json()), "format_version": 3}
    path = altered(tmp_path, distilled, {"card": np.array(json.dumps(values))})
    with pytest.raises(ValueError, match=r"altered.npz: written in format 3.*newer Stillhouse"):
        load_distilled(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"card": np.array("{}")}, "not a card"),
        ({"card": np.arange(3)}, "`card` must be a text"),
        ({"transform_kind": np.array("pca")}, "unknown transform 'pca'"),
        ({"transform/whitening": None}, "lacks the array `whitening`"),
        ({"transform/whitening": np.eye(3)}, r"`whitening` .* must be numbers of shape \[90, 90\]"),
        ({"transform/mean": np.full(3, np.nan)}, "`mean` .* must be finite"),
        ({"transform/std": np.zeros(3)}, "`std` must be positive"),
        ({"images": np.zeros((4, 5, 5, 3), np.float32)}, "are 5x5x3, the card says 6x5x3"),
        ({"labels": np.zeros((4, 3), np.float32)}, "have 3 classes, the card names 4"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, distilled, change, message):
    with pytest.raises(ValueError, match=rf"altered.npz: .*{message}"):
        load_distilled(altered(tmp_path, distilled, change))


def test_damage_is_reported_or_harmless(tmp_path, distilled, damaged):
    path = tmp_path / "distilled.npz"
    save_distilled(path, dataclasses.replace(distilled, transform=None))
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            loaded = load_distilled(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:
            np.testing.assert_array_equal(loaded.images, distilled.images)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.npz"):
        load_distilled(tmp_path / "nothing.npz")


def test_saving_into_a_missing_folder_is_an_error(tmp_path, distilled):
    with pytest.raises(FileNotFoundError):
        save_distilled(tmp_path / "nowhere" / "d.npz", distilled)


def test_images_with_their_channels_first_are_turned(tmp_path, rng):
    images = rng.random((4, 3, 6, 5), dtype=np.float32)
    np.savez(tmp_path / "first.npz", images=images, labels=np.arange(4))
    loaded = load_distilled(tmp_path / "first.npz")
    np.testing.assert_array_equal(loaded.images, images.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("label", [2**16, 2**28, 2**62])
def test_labels_that_no_dataset_has_are_refused_before_they_take_memory(tmp_path, label):
    np.savez(tmp_path / "far.npz", images=np.zeros((4, 8, 8)), labels=np.array([0, 1, 2, label]))
    with pytest.raises(
        ValueError, match=f"far.npz: `labels` must be classes below 65,536, got {label}"
    ):
        load_distilled(tmp_path / "far.npz")


def test_many_classes_take_no_more_than_their_labels(tmp_path):
    np.savez(tmp_path / "many.npz", images=np.zeros((4, 8, 8)), labels=np.array([0, 1, 2, 32768]))
    tracemalloc.start()
    try:
        assert load_distilled(tmp_path / "many.npz").num_classes == 32769
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
