import dataclasses
import json

import numpy as np
import pytest

from stillhouse.data import DistilledSet, dataset_from_arrays
from stillhouse.data.releases.index import Row
from stillhouse.data.releases.published import (
    fit_published_transform,
    index_location,
    row_location,
    with_recipe,
)
from stillhouse.kernels import KernelSpec, convnet

ROW = Row(
    architecture="ConvNet",
    dataset="cifar10",
    ssize=4,
    zca=True,
    url="https://storage.cloud.google.com/kip-datasets/kip/cifar10/ConvNet_ssize4_zca.npz",
    learned=True,
    augmented=False,
    ckpt=1000,
    test_accuracy=0.63,
    test_mse=0.035,
)


@pytest.mark.parametrize(
    ("source", "mirror", "location"),
    [
        ("kip", None, "https://storage.googleapis.com/kip-datasets/kip/kip.csv"),
        ("ls", None, "https://storage.googleapis.com/kip-datasets/ls/ls.csv"),
        ("kip", "/data/kip-datasets/", "/data/kip-datasets/kip/kip.csv"),
        ("releases", None, "releases/index.csv"),
        ("s3://bucket/sets/", None, "s3://bucket/sets/index.csv"),
        ("https://x.org/mine.csv", None, "https://x.org/mine.csv"),
    ],
)
def test_where_an_index_is(source, mirror, location):
    assert index_location(source, mirror) == location


def test_a_mirror_of_something_else_is_refused():
    with pytest.raises(ValueError, match="kip and ls alone, got 'releases'"):
        index_location("releases", "/data")


@pytest.mark.parametrize(
    ("url", "index", "mirror", "location"),
    [
        # Without a login.
        (ROW.url, "x", None, "https://storage.googleapis.com/kip-datasets/kip/cifar10/ConvNet_ss"),
        (ROW.url, "x", "gs://m", "gs://m/kip/cifar10/ConvNet_ssize4_zca.npz"),
        ("gs://kip-datasets/ls/a.npz", "x", "/m/", "/m/ls/a.npz"),
        ("digits/a.npz", "https://x.org/index.csv", None, "https://x.org/digits/a.npz"),
        ("digits/a.npz", "releases/index.csv", None, "releases/digits/a.npz"),
        ("/sets/a.npz", "releases/index.csv", None, "/sets/a.npz"),
        ("s3://b/a.npz", "https://x.org/index.csv", None, "s3://b/a.npz"),
    ],
)
def test_where_a_file_is(url, index, mirror, location):
    found = row_location(dataclasses.replace(ROW, url=url), index, mirror)
    assert found.startswith(location)


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "~/.ssh/id", "FILE:///x"])
def test_an_index_from_elsewhere_names_no_file_of_this_machine(url):
    with pytest.raises(ValueError, match="line 3: names a file of this machine"):
        row_location(dataclasses.replace(ROW, url=url, line=3), "https://x.org/index.csv")


@pytest.fixture
def photographs(rng):
    """240 train images of 4x4x3 whose pixels are correlated."""
    x = rng.normal(size=(300, 4, 4, 3)).cumsum(axis=1).cumsum(axis=2) * 12 + 128
    x = np.clip(x, 0, 255).astype(np.uint8)
    y = np.arange(300) % 4
    return dataset_from_arrays(x[:240], y[:240], x[240:], y[240:], name="photographs")


def published_whitening(x_train, fitted_on, images):
    """Whitening as the authors' `nn_training.ipynb` has it, by another route: SVD, in float64."""

    def normalised(x):
        x = (x - x_train.mean(axis=(0, 1, 2))) / x_train.std(axis=(0, 1, 2))
        x = x.reshape(len(x), -1)
        x = x - x.mean(axis=1, keepdims=True)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    rows = normalised(x_train[:fitted_on])
    covariance = rows.T @ rows / len(rows)
    ridge = 0.1 * np.trace(covariance) / len(covariance)
    u, s, _ = np.linalg.svd(covariance + ridge * np.eye(len(covariance)))
    return (normalised(images) @ (u / np.sqrt(s)) @ u.T).reshape(images.shape)


def test_whitening_is_that_of_the_authors(photographs):
    found = fit_published_transform(True, photographs).apply(photographs.x_test)
    expected = published_whitening(photographs.x_train, 216, photographs.x_test)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    # On all of the images it would be another one.
    other = published_whitening(photographs.x_train, 240, photographs.x_test)
    assert np.abs(found - other).max() > 1e-3


def test_of_a_large_dataset_the_last_5000_images_are_held_out(rng):
    x = rng.integers(0, 255, (60_000, 2, 2, 1)).astype(np.uint8)
    x[55_000:] //= 4
    dataset = dataset_from_arrays(x, np.arange(60_000) % 2, x[:2], np.arange(2))
    found = fit_published_transform(True, dataset).apply(dataset.x_test)
    np.testing.assert_allclose(
        found, published_whitening(dataset.x_train, 55_000, dataset.x_test), atol=2e-6
    )


def test_without_whitening_all_training_images_say_mean_and_deviation(photographs):
    x = photographs.x_train.astype(np.float64)
    expected = (photographs.x_test - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))
    found = fit_published_transform(False, photographs).apply(photographs.x_test)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.fixture
def complete(photographs, rng):
    def run(row=ROW, *, images=None, labels=None):
        images = rng.normal(size=(4, 4, 4, 3)) if images is None else images
        bare = DistilledSet(images, np.eye(4) - 0.25 if labels is None else labels)
        transform = fit_published_transform(row.zca, photographs)
        return with_recipe(bare, row, photographs, transform, source="here", url="u.npz")

    return run


def test_a_published_set_becomes_one_that_says_everything(complete, photographs):
    found = complete()
    card = found.card
    assert (card.method, card.seed) == ("kip", None)
    assert KernelSpec.from_json(json.dumps(card.kernel)) == KernelSpec(convnet(3), "ntk")
    assert card.dataset == photographs.info()
    assert card.scores == {"published_test_accuracy": 0.63, "published_test_mse": 0.035}
    assert card.config["regularisation"] == 1e-6 and card.config["dataset"] == "here"
    assert (card.config["steps"], card.config["learn_labels"]) == (1000, True)
    assert (card.config["whitening_images"], found.transform.kind) == (216, "zca")
    assert type(card).from_json(card.to_json()) == card


def test_label_solve_is_told_by_its_columns(complete):
    row = dataclasses.replace(ROW, zca=False, augmented=None, ckpt=0, test_mse=None)
    found = complete(row)
    assert (found.card.method, found.transform.kind) == ("label_solve", "standardise")
    assert "steps" not in found.card.config and "whitening_images" not in found.card.config
    assert found.card.scores == {"published_test_accuracy": 0.63}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"row": dataclasses.replace(ROW, ssize=5)}, "u.npz: 4 images, the index says 5"),
        ({"row": dataclasses.replace(ROW, architecture="ViT")}, "unknown architecture 'ViT'"),
        ({"images": np.zeros((4, 8, 8, 3))}, "name the dataset cifar10"),
        ({"labels": np.eye(4, 10)}, "labels of 10 classes, here has 4: name the dataset cifar10"),
    ],
)
def test_what_does_not_fit_is_one_line(complete, change, says):
    with pytest.raises(ValueError, match=says):
        complete(**change)


@pytest.mark.parametrize("url", ["../a.npz", "digits/../../a.npz", "link/a.npz"])
def test_an_index_names_nothing_outside_its_folder_by_a_relative_path(tmp_path, url):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "link").symlink_to(tmp_path)
    row = dataclasses.replace(ROW, url=url, line=3)
    with pytest.raises(ValueError, match="index.csv, line 3: .* leads out of"):
        row_location(row, str(tmp_path / "release" / "index.csv"))
