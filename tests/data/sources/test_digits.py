import numpy as np
from sklearn import datasets

from stillhouse.data.sources.digits import load_digits


def test_the_split_is_the_documented_one():
    dataset = load_digits()
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((1437, 8, 8, 1), (360, 8, 8, 1))
    assert (dataset.x_train.dtype, dataset.pixel_range) == (np.float32, (0.0, 1.0))
    assert dataset.class_names == tuple("0123456789")
    # The same on every stack: runs on the embedded set compare across machines.
    assert dataset.fingerprint().startswith("1b2b06eed8d2")


def test_the_images_are_those_of_scikit_learn_under_their_labels():
    dataset = load_digits()
    images, labels = datasets.load_digits(return_X_y=True)
    expected = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    together = np.concatenate([dataset.x_train, dataset.x_test]).reshape(-1, 64) * 16.0
    found = np.concatenate([dataset.y_train, dataset.y_test])
    assert len(found) == len(labels)
    for image, label in zip(together.astype(np.float64), found, strict=True):
        assert expected[image.tobytes()] == label


def test_another_seed_splits_otherwise():
    assert load_digits(seed=1).fingerprint() != load_digits(seed=0).fingerprint()
    assert len(load_digits(test_fraction=0.5).x_test) == 899
