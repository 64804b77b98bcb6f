import numpy as np
import pytest

from stillhouse.data import DatasetInfo, DistilledSet, dataset_from_arrays
from stillhouse.data.card import Card
from stillhouse.data.own_classes import in_own_order, own_classes


def a_set(*names):
    info = DatasetInfo("pets", "0" * 64, names, (2, 2, 1), (0.0, 1.0))
    return DistilledSet(np.ones((3, 2, 2)), np.eye(3), card=Card("kip", {}, {}, 0, info))


PETS, NUMBERED = a_set("cat", "dog", "eel"), a_set("1", "2", "3")


@pytest.mark.parametrize(
    ("distilled", "labels", "classes"),
    [
        (PETS, [2, 0, 0], [2, 0, 0]),
        (PETS, np.array([[1], [0]]), [1, 0]),
        (PETS, ["eel", "cat"], [2, 0]),
        (PETS, np.array([["dog"]], object), [1]),
        (a_set("0", "1", "2"), [2, 1], [2, 1]),
        # What its labels were before they were numbered from zero, or what they are now.
        (NUMBERED, [3, 1, 2, 1], [2, 0, 1, 0]),
        (NUMBERED, [0, 1], [0, 1]),
        (NUMBERED, ["1", "2"], [0, 1]),
        (a_set("-1", "0", "1"), [-1, 1], [0, 2]),
    ],
)
def test_labels_are_classes_or_what_these_are_called(distilled, labels, classes):
    assert own_classes(distilled, labels, "`y`").tolist() == classes


@pytest.mark.parametrize(
    ("distilled", "labels", "says"),
    [
        (
            PETS,
            ["cat", "cow"],
            "`y` must be names of .*: 'cow' is none of cat, dog, eel",
        ),
        (PETS, [0, 3], "`y` must be classes 0 to 2: label 1 is 3"),
        (NUMBERED, [0, 3], "`y` must be classes 0 to 2: label 1 is 3"),
        (
            NUMBERED,
            [1, 2],
            r"`y` might be classes 0 to 2, or what they are called, 1 to 3: .*str",
        ),
        (PETS, [["cat", "dog"]], "they have shape"),
        (PETS, 3, "`y` must be labels"),
    ],
)
def test_what_is_neither_or_might_be_both_is_refused(distilled, labels, says):
    with pytest.raises(ValueError, match=says):
        own_classes(distilled, labels, "`y`")


def test_numbers_of_classes_that_have_names_go_by_these():
    names = ["eel", "cat", "dog"]
    assert own_classes(PETS, [0, 1, 2], "`y`", names).tolist() == [2, 0, 1]
    assert own_classes(PETS, [0, 1, 2], "`y`", ["a", "b", "c"]).tolist() == [0, 1, 2]


def test_a_dataset_with_the_same_classes_in_another_order_gets_that_of_the_set(rng):
    x, y = rng.random((6, 2, 2)), [0, 1, 2] * 2
    theirs = dataset_from_arrays(x, y, x, y, class_names=["eel", "cat", "dog"])
    own = in_own_order(PETS, theirs)
    assert own.class_names == ("cat", "dog", "eel")
    assert own.y_test.tolist() == own.y_train.tolist() == [2, 0, 1] * 2
    for other in (own, dataset_from_arrays(x, y, x, y, class_names=["a", "b", "c"])):
        assert in_own_order(PETS, other) is other
