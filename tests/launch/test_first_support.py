import dataclasses

import numpy as np
import pytest

from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.distilled import DistilledSet, load_distilled, save_distilled
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.launch.errors import CommandError
from stillhouse.launch.first_support import first_support
from stillhouse.launch.prepare import prepare
from stillhouse.launch.running import run_job
from stillhouse.launch.settings.run import DistillConfig, RunConfig, SupportConfig
from stillhouse.methods.kernel_regression.kip_settings import KipSettings


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    return dataset_from_arrays(rng.integers(0, 256, (60, 4, 4, 1)), np.arange(60) % 3)


@pytest.mark.parametrize("init", ["real", "noise", "kmeans"])
def test_a_start_is_the_same_each_time_and_in_order_of_the_classes(dataset, init):
    transform = fit_transform("standardise", dataset.x_train)
    images, labels = first_support(init, 6, dataset, transform, 3)
    assert images.shape == (6, 4, 4, 1) and images.dtype == np.float32
    np.testing.assert_array_equal(labels.argmax(axis=1), [0, 0, 1, 1, 2, 2])
    again, _ = first_support(init, 6, dataset, transform, 3)
    np.testing.assert_array_equal(images, again)
    other, _ = first_support(init, 6, dataset, transform, 4)
    assert not np.array_equal(images, other)


def test_real_images_are_those_of_the_dataset(dataset):
    transform = fit_transform("standardise", dataset.x_train)
    images, _ = first_support("real", 3, dataset, transform, 0)
    raw = transform.invert(images)
    for image in raw:
        assert np.abs(dataset.x_train - image).max(axis=(1, 2, 3)).min() < 1e-3


@pytest.fixture
def start(dataset, tmp_path):
    """A set of six images, soft labels and all."""
    rng = np.random.default_rng(1)
    labels = centred_one_hot(np.arange(6) % 3, 3) * np.float32(0.7)
    images = rng.normal(size=(6, 4, 4, 1)).astype(np.float32)
    found = DistilledSet(images, labels, fit_transform("standardise", dataset.x_train))
    save_distilled(tmp_path / "start.npz", found)
    return found


def job(dataset, tmp_path, init="start.npz", out="run", loss="mse", learn_labels=True, **support):
    config = DistillConfig(
        support=SupportConfig(init=str(tmp_path / init), **support),
        own=KipSettings("fc", steps=2, target_batch=30, loss=loss, learn_labels=learn_labels),
        run=RunConfig(str(tmp_path / out), eval_every=1),
    )
    return prepare(config, dataset)


def test_a_run_starts_from_a_set_and_is_the_same_wherever_that_lies(dataset, start, tmp_path):
    first = job(dataset, tmp_path)
    images, labels = first.first_support(first.fit_transform())
    assert images.tobytes() == start.images.tobytes()
    assert labels.tobytes() == start.labels.tobytes()
    assert run_job(first) == 0
    (tmp_path / "start.npz").rename(tmp_path / "moved.npz")
    moved = job(dataset, tmp_path, "moved.npz")
    assert moved.identity == first.identity
    # From the folder of that run on.
    again = job(dataset, tmp_path, "run", out="more")
    assert again.identity["init"] != first.identity["init"]
    assert run_job(again) == 0


def test_the_scale_of_a_softmax_comes_with_the_set(dataset, start, tmp_path):
    def first_scale(job):
        transform = job.fit_transform()
        batches = job.batches(transform, augmented=True)
        return job.algorithm(transform, batches, job.runner, lambda: False).begin().scale

    first = job(dataset, tmp_path, loss="cross_entropy")
    assert first_scale(first) == pytest.approx(4)
    assert run_job(first) == 0
    said = load_distilled(tmp_path / "run" / "distilled.npz").card.scores["softmax_scale"]
    again = job(dataset, tmp_path, "run", out="more", loss="cross_entropy")
    assert first_scale(again) == pytest.approx(said, rel=1e-6) != pytest.approx(4, rel=1e-3)
    assert first_scale(job(dataset, tmp_path, "run", out="other")) == 1


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({}, {"init": "strat.npz"}, "`--init` must be real, noise, kmeans, or a .*did you mean"),
        ({}, {"ipc": 3}, "6 images, and 9 are asked for; leave out `--ipc`"),
        ({}, {"support_size": 3}, "6 images, and 3 are asked for; leave out `--support_size`"),
        (
            {"images": np.zeros((6, 4, 5, 1), np.float32)},
            {},
            "are 4x5x1, those of the dataset 4x4x1",
        ),
        ({"labels": np.zeros((6, 4), np.float32)}, {}, "have 4 classes, the dataset has 3"),
        ({"transform": None}, {}, "does not say through which transform"),
        (
            {"labels": np.zeros((6, 3), np.float32)},
            {"loss": "cross_entropy", "learn_labels": False},
            "`--init`: label 0 of the support set has no class",
        ),
    ],
)
def test_a_set_that_does_not_fit_is_named(dataset, start, tmp_path, changes, settings, message):
    save_distilled(tmp_path / "start.npz", dataclasses.replace(start, **changes))
    with pytest.raises(ValueError, match=message):
        job(dataset, tmp_path, **settings)


def test_a_set_seen_through_another_transform_is_named(dataset, start, tmp_path):
    other = fit_transform("standardise", dataset.x_train.astype(np.float32) * 2)
    save_distilled(tmp_path / "start.npz", dataclasses.replace(start, transform=other))
    with pytest.raises(CommandError, match="another transform .standardise.*give the --tr"):
        run_job(job(dataset, tmp_path))
    assert not (tmp_path / "run").exists()
