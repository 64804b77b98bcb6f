import json

import numpy as np
import pytest

import stillhouse as sh


@pytest.fixture(scope="module")
def distilled(spots):
    return sh.distill(sh.load_dataset(spots), architecture="fc", depth=1, steps=12)


@pytest.fixture(scope="module")
def dataset(spots):
    return sh.load_dataset(spots)


def test_a_set_scores_as_the_command_scores_it(distilled, spots, stillhouse, tmp_path):
    scores = sh.evaluate(distilled, spots)
    assert scores.accuracy == distilled.card.scores["test_accuracy"]
    distilled.save(tmp_path / "set.npz")
    done = stillhouse("evaluate", "set.npz", f"--dataset={spots}", "--json")
    assert json.loads(done.out)["test_accuracy"] == scores.accuracy
    assert json.loads(done.out)["test_mse"] == pytest.approx(scores.mse)
    assert distilled.evaluate(spots, kernel="nngp") == sh.evaluate(distilled, spots, kernel="nngp")


def test_datasets_and_pairs_of_test_images_are_taken(distilled, dataset, spots):
    scores = sh.evaluate(distilled, spots)
    assert distilled.evaluate(dataset) == scores
    assert distilled.evaluate((dataset.x_test, dataset.y_test)) == scores
    one = dataset.y_test == 1
    alone = distilled.evaluate((dataset.x_test[one], dataset.y_test[one]))
    assert 0 <= alone.accuracy <= 1


def test_predictions_are_those_that_are_scored(distilled, dataset, spots):
    predictions = distilled.predict(dataset.x_test)
    assert predictions.shape == (len(dataset.y_test), 3)
    right = predictions.argmax(axis=1) == dataset.y_test
    assert right.mean() == distilled.evaluate(spots).accuracy
    # Grey images need no channel.
    np.testing.assert_array_equal(distilled.predict(dataset.x_test[..., 0]), predictions)


def test_a_set_stands_beside_real_ones_of_its_size(distilled, dataset):
    scores = distilled.compare(dataset)
    assert list(scores) == ["distilled", "random", "kmeans", "average"]
    assert scores["distilled"].accuracy > scores["random"].accuracy


def test_images_of_another_scale_or_shape_are_refused(distilled, dataset):
    with pytest.raises(ValueError, match="lie in 0 to .*: multiply them by 255"):
        distilled.predict(dataset.x_test / 255.0)
    with pytest.raises(ValueError, match=r"images must be \[n, 6, 6, 1\], .* got shape"):
        distilled.transform(np.zeros((2, 5, 6, 1)))
    with pytest.raises(ValueError, match="the set of"):
        distilled.evaluate(sh.dataset_from((np.random.rand(20, 5, 5), np.arange(20) % 3)))
    bare = sh.DistilledSet(distilled.images, distilled.labels)
    with pytest.raises(ValueError, match="carries no transform and network"):
        bare.predict(dataset.x_test)


def test_a_path_is_no_set():
    with pytest.raises(ValueError, match="must be a DistilledSet, got str; `load_distilled` reads"):
        sh.evaluate("distilled.npz", "digits")


def test_sets_and_datasets_are_shown_in_a_few_lines(distilled, dataset):
    first, second, *_ = repr(distilled).split("\n")
    assert first == "DistilledSet of 3 images of 6x6x1, 3 classes"
    assert second.startswith("  from spots by kip, test accuracy 0.")
    assert "192 train and 48 test images of 6x6x1" in repr(dataset)
    assert max(repr(distilled).count("\n"), repr(dataset).count("\n")) < 5


def test_a_missing_folder_is_named(distilled, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no such folder: '{tmp_path}/none'"):
        distilled.save(tmp_path / "none" / "set.npz")


def test_the_api_is_what_dir_shows():
    shown = set(dir(sh))
    assert {"distill", "evaluate", "dataset_from", "load", "data", "__version__"} <= shown
    assert not {"importlib", "Any", "TYPE_CHECKING"} & shown
