import os
import pickle

import numpy as np
import pytest

from stillhouse.data.sources.pickles import read_pickle


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_lists_and_texts_come_back(protocol):
    value = {"data": np.arange(6, dtype=np.int16).reshape(2, 3), "labels": [1, 2.5, "naïve", None]}
    result = read_pickle(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(result["data"], value["data"])
    assert result["labels"] == value["labels"]


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(os.system),
        b"cos\nsystem\n(S'true'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n.",
        b"",
        b"\x80\x02}",
        pickle.dumps(np.array([{}], dtype=object)),
    ],
)
def test_anything_else_is_refused(data):
    if data.endswith(b"_reconstruct\n."):
        assert read_pickle(data).__module__.startswith("stillhouse")  # Ours, and not called.
        return
    with pytest.raises(ValueError, match="not a pickle of arrays and texts alone .* convert it"):
        read_pickle(data)


def test_the_shape_that_a_pickle_asks_for_makes_no_room():
    big = b"J\xff\xff\xff\x7f"  # 2**31 - 1
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    assert read_pickle(reconstruct + big + b"\x85U\x01btR.").size == 0
    with pytest.raises(ValueError, match="not a pickle"):
        read_pickle(b"cnumpy\nndarray\n(" + big + b"\x85tR.")
