import json
import typing

import numpy as np
import pytest

import stillhouse as sh
from stillhouse.launch.scoring import Architectures
from stillhouse.methods.architectures import ARCHITECTURES


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


def test_images_and_labels_that_do_not_fit_are_named_as_they_were_given(distilled, dataset):
    x, y = dataset.x_test, dataset.y_test
    assert distilled.evaluate(x, y) == distilled.evaluate((x, y))
    names = np.array(dataset.class_names)
    assert distilled.evaluate(x, names[y]) == distilled.evaluate(x, y)
    for given, says in [
        ((x, np.full(len(y), "cow")), "`labels` must be names of the set's classes"),
        ((x, y[:5]), "`dataset` has 48 images, `labels` 5 labels"),
        (((x, y[:5]),), r"`dataset\[0\]` has 48 images, `dataset\[1\]` 5 labels"),
        ((x, y + 5), "`labels` must be classes 0 to 2"),
        ((3,), "`dataset` must be a name or path, a dataset, or a pair .*, got 3"),
        ((distilled,), "`dataset` must be a name or path, .*, got DistilledSet"),
    ]:
        with pytest.raises(ValueError, match=says):
            distilled.evaluate(*given)
    with pytest.raises(ValueError, match="`dataset` must be a name or path, .*, got DistilledSet"):
        distilled.compare(distilled)
    with pytest.raises(ValueError, match="`transform` is fitted on training images, and these are"):
        distilled.evaluate(x, y, transform="zca")
    with pytest.raises(ValueError, match="`architecture` must be one of fc, .*, got Architecture$"):
        distilled.evaluate(dataset, architecture=sh.convnet(3))


def test_the_architectures_are_those_that_there_are():
    assert typing.get_args(Architectures) == ARCHITECTURES


@pytest.mark.parametrize("wrong", [None, 3, "a"])
def test_what_is_no_image_is_named(distilled, wrong):
    for use in (distilled.predict, distilled.invert, distilled.transform):
        with pytest.raises(ValueError, match="`images` must be images .*, got"):
            use(wrong)


def test_what_is_inverted_has_the_shape_of_the_set(distilled):
    with pytest.raises(ValueError, match=r"`images` must be \[n, 6, 6, 1\], .* \(2, 3, 3, 1\)"):
        distilled.invert(np.zeros((2, 3, 3, 1)))
    with pytest.raises(ValueError, match="`images` must be finite"):
        distilled.transform(np.full((2, 6, 6, 1), np.nan))


def test_a_set_stands_beside_real_ones_of_its_size(distilled, dataset):
    scores = distilled.compare(dataset)
    assert list(scores) == ["distilled", "random", "kmeans", "average"]
    assert scores["distilled"].accuracy > scores["random"].accuracy


def test_sets_stand_beside_one_another(distilled, dataset):
    whitened = sh.distill(dataset, architecture="fc", steps=4, transform="zca")
    scores = distilled.compare(dataset, others={"again": distilled, "whitened": whitened})
    assert list(scores)[4:] == ["again", "whitened"]
    assert scores["again"] == scores["distilled"]
    assert scores["whitened"] == whitened.evaluate(dataset)
    bare = sh.DistilledSet(whitened.images, whitened.labels)
    same = bare.compare(dataset, architecture="fc", transform="zca", others={"own": distilled})
    assert (same["distilled"], same["own"]) == (scores["whitened"], scores["distilled"])
    for others, says in [
        ([whitened], "`others` must be a dict, got"),
        ({"random": whitened}, r"`others\['random'\]` has a name that is taken"),
        ({"a": 3}, r"`others\['a'\]` must be a DistilledSet, got 3"),
        ({"a": bare}, r"`others\['a'\]` carries no transform; give transform=none"),
        ({"a": sh.DistilledSet(np.ones((2, 5, 5)), np.eye(2))}, "has images of 5 x 5 x 1 in 2"),
    ]:
        with pytest.raises(ValueError, match=says):
            distilled.compare(dataset, others=others)


def test_a_set_without_a_kernel_of_its_own_may_be_read_by_one(distilled, dataset):
    kernel = {"architecture": "fc", "depth": 1}
    bare = sh.DistilledSet(distilled.images, distilled.labels, distilled.transform)
    with pytest.raises(ValueError, match="does not say what network .*; give architecture, such"):
        bare.predict(dataset.x_test)
    np.testing.assert_array_equal(
        bare.predict(dataset.x_test, **kernel), distilled.predict(dataset.x_test)
    )
    assert bare.compare(dataset, **kernel) == distilled.compare(dataset)


def test_test_images_of_other_libraries_are_scored_all(distilled, dataset):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    features = datasets.Features(
        image=datasets.Array2D((6, 6), "uint8"), label=datasets.ClassLabel(names=["2", "1", "0"])
    )
    columns = {"image": list(dataset.x_test[..., 0]), "label": (2 - dataset.y_test).tolist()}
    test = datasets.Dataset.from_dict(columns, features=features)
    assert distilled.evaluate(test) == distilled.evaluate(dataset)


def test_images_of_another_scale_or_shape_are_refused(distilled, dataset):
    with pytest.raises(ValueError, match="lie in 0 to .*: multiply them by 255"):
        distilled.predict(dataset.x_test / 255.0)
    with pytest.raises(ValueError, match=r"`images` must be \[n, 6, 6, 1\], .* got shape"):
        distilled.transform(np.zeros((2, 5, 6, 1)))
    with pytest.raises(ValueError, match="the set of"):
        distilled.evaluate(sh.dataset_from((np.random.rand(20, 5, 5), np.arange(20) % 3)))
    bare = sh.DistilledSet(distilled.images, distilled.labels)
    with pytest.raises(ValueError, match="carries no transform, so it predicts nothing"):
        bare.predict(dataset.x_test)


def test_a_path_is_no_set():
    with pytest.raises(ValueError, match="must be a DistilledSet, got 'distilled.npz'; `load`"):
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
    with pytest.raises(IsADirectoryError, match=f"a folder, where .* written: '{tmp_path}'"):
        distilled.save(tmp_path)
    with pytest.raises(ValueError, match="`path` must be a path, got 3"):
        distilled.save(3)


def test_the_api_is_what_dir_shows():
    shown = set(dir(sh))
    assert shown == {*sh.__all__, "__version__"}
    assert sh.data.Dataset is sh.Dataset  # The rooms are there all the same.
