"""Images in lanes: taking some, and adding gradients back to where they came from."""

import numpy as np

from stillhouse.kernels.xla.prepared import Prepared


def _prepared(n: int) -> Prepared:
    return Prepared(np.arange(2.0 * n).reshape(1, 1, 2, n), (np.arange(1.0 * n).reshape(1, n),))


def test_taking_lanes_repeats_the_last():
    images, (maps,) = _prepared(4).take(slice(2, 4), 3)
    assert images[0, 0].tolist() == [[2, 3, 3], [6, 7, 7]]
    assert maps.tolist() == [[2, 3, 3]]


def test_gradients_of_repeated_images_add_up_and_surplus_lanes_drop():
    total = _prepared(3).zeros()
    ones = np.ones((1, 1, 2, 4)), (np.ones((1, 4)),)
    total.add(np.array([0, 2, 2]), ones)
    assert total.images[0, 0].tolist() == [[1, 0, 2], [1, 0, 2]]
    total.add(slice(1, 3), ones)
    assert total.maps[0].tolist() == [[1, 1, 3]]
