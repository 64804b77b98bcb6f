"""Sub-blocks cover a block once, in a fixed order."""

import numpy as np

from stillhouse.kernels.subblocks import padded, sub_blocks


def test_every_entry_is_covered_once():
    count = np.zeros((7, 5), int)
    for part in sub_blocks(7, 5, (3, 2)):
        assert count[part].shape[0] <= 3 and count[part].shape[1] <= 2
        count[part] += 1
    assert (count == 1).all()


def test_padding_repeats_the_last_entry():
    x = np.arange(6).reshape(2, 3)
    assert padded(x, 4).tolist() == [[0, 1, 2], [3, 4, 5], [3, 4, 5], [3, 4, 5]]
    assert padded(x, 4, axis=-1).tolist() == [[0, 1, 2, 2], [3, 4, 5, 5]]
    assert padded(x, 2) is x
