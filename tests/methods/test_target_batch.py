import numpy as np
import pytest

from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.methods.target_batch import target_batch_size


@pytest.fixture
def rare():
    """Three classes, of 9, 6 and 4 training images."""
    labels = np.repeat([0, 1, 2], [9, 6, 4])
    images = np.random.default_rng(0).normal(size=(len(labels), 2, 2)).astype(np.float32)
    return dataset_from_arrays(images, labels, images[:3], labels[[0, 9, 15]])


@pytest.mark.parametrize(("asked", "size"), [(None, 12), (6, 6), (11, 11)])
def test_the_usual_number_is_cut_to_what_the_rarest_class_allows(rare, asked, size):
    assert target_batch_size(asked, 300, rare) == size
    assert target_batch_size(asked, 9, rare) == (asked or 9)


def test_more_than_a_class_has_is_refused_with_what_can_be_had(rare):
    with pytest.raises(ValueError, match="`--target_batch`: 13 images.*class 2 has 4.*12 at most"):
        target_batch_size(13, 300, rare)
