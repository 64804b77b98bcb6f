import numpy as np
import optax
import pytest

from stillhouse.methods.learned import begin_learning, restore_learning

ARRAYS = {"images": np.ones((2, 3), np.float32), "step_sizes": np.full(4, 0.5, np.float32)}
GRADIENTS = {"images": np.full((2, 3), 2, np.float32), "step_sizes": np.ones(4, np.float32)}


def test_an_update_is_the_optimisers_over_all_arrays():
    start = begin_learning(optax.sgd(0.1), ARRAYS)
    after = start.updated(optax.sgd(0.1), GRADIENTS)
    assert (start.step, after.step) == (0, 1)
    np.testing.assert_allclose(after.arrays["images"], 0.8, rtol=1e-6)
    np.testing.assert_allclose(after.arrays["step_sizes"], 0.4, rtol=1e-6)
    assert start.arrays["images"][0, 0] == 1


def test_saved_and_restored_it_goes_on_in_the_same_bits():
    adam = optax.adam(0.1)
    half = begin_learning(adam, ARRAYS).updated(adam, GRADIENTS)
    restored = restore_learning(adam, half.to_arrays(), tuple(ARRAYS))
    one, other = (each.updated(adam, GRADIENTS).to_arrays() for each in (half, restored))
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_gradients_of_other_names_or_shapes_are_refused():
    start = begin_learning(optax.sgd(0.1), ARRAYS)
    for gradients in ({"images": GRADIENTS["images"]}, GRADIENTS | {"images": np.ones(3)}):
        with pytest.raises(ValueError, match="do not fit what is learned"):
            start.updated(optax.sgd(0.1), gradients)


@pytest.mark.parametrize("name", ["step", "opt_state/0"])
def test_a_name_that_checkpoints_need_is_refused(name):
    with pytest.raises(ValueError, match="nothing that is learned can be called"):
        begin_learning(optax.sgd(0.1), {name: np.ones(1, np.float32)})


def test_arrays_of_another_optimiser_are_refused():
    arrays = begin_learning(optax.sgd(0.1), ARRAYS).to_arrays()
    with pytest.raises(ValueError, match="'opt_state/0' is missing"):
        restore_learning(optax.adam(0.1), arrays, tuple(ARRAYS))
