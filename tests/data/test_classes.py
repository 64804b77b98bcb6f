import numpy as np
import pytest

from stillhouse.data.classes import number_classes


def number(train, test=None, names=None):
    splits = [(train, "`y`"), *([] if test is None else [(test, "`y_test`")])]
    return number_classes(splits, names)


def test_classes_from_zero_stay_and_nothing_is_said():
    classes = number([2, 0, 1, 1])
    assert classes.labels[0].tolist() == [2, 0, 1, 1]
    assert (classes.names, classes.note) == (("0", "1", "2"), None)


@pytest.mark.parametrize(
    "labels",
    [["dog", "cat", "dog"], np.array([b"dog", b"cat", b"dog"]), [["dog"], ["cat"], ["dog"]]],
)
def test_texts_are_classes_by_name(labels):
    classes = number(labels)
    assert classes.labels[0].tolist() == [1, 0, 1]
    assert (classes.names, classes.note) == (("cat", "dog"), None)


def test_texts_take_the_order_of_the_names_and_must_be_among_them():
    assert number(["b", "a"], names=["b", "a"]).labels[0].tolist() == [0, 1]
    with pytest.raises(ValueError, match="the label 'c' is none of the class names b, a"):
        number(["b", "c"], names=["b", "a"])


@pytest.mark.parametrize(
    ("train", "test", "numbered", "note"),
    [
        ([1, 2, 3, 1], [3], [0, 1, 2, 0], "the labels 1 to 3 are numbered 0 to 2"),
        ([5, 0, 7], [7], [1, 0, 2], "the labels 0, 5, 7 are numbered 0 to 2"),
        ([-1, 1], [1], [0, 1], "the labels -1, 1 are numbered 0 to 1"),
        (list(range(0, 20, 2)), [0], list(range(10)), "the labels 0, 2, 4, 6, 8, ... 18 are"),
    ],
)
def test_other_numbers_are_numbered_anew_and_that_is_said(train, test, numbered, note):
    classes = number(train, test)
    assert classes.labels[0].tolist() == numbered
    assert classes.names == tuple(str(label) for label in sorted(set(train)))
    assert classes.note.startswith(note)


def test_both_splits_are_numbered_alike():
    classes = number([10, 30, 20], [30, 10])
    assert [labels.tolist() for labels in classes.labels] == [[0, 2, 1], [2, 0]]


def test_texts_beside_numbers_and_endless_classes_are_refused():
    with pytest.raises(ValueError, match="texts in all splits or in none: `y` is <U1 and `y_test`"):
        number(["a"], [1])
    with pytest.raises(ValueError, match="70,000 different labels are more than a dataset"):
        number(np.arange(70_000))
    assert number([2**40, 0]).labels[0].tolist() == [1, 0]
