import numpy as np
import optax
import pytest
import scipy.fft

from stillhouse.methods.coordinates import in_coordinates, rotation
from stillhouse.methods.learned import begin_learning, restore_learning

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((3, 8, 6, 2)).astype(np.float32)
ARRAYS = {"images": IMAGES, "labels": RNG.standard_normal((3, 4)).astype(np.float32)}


def gradients(step):
    rng = np.random.default_rng(step + 1)
    return {n: rng.standard_normal(a.shape).astype(np.float32) for n, a in ARRAYS.items()}


def ended(optimiser, steps=4):
    learned = begin_learning(optimiser, ARRAYS)
    for step in range(steps):
        learned = learned.updated(optimiser, gradients(step))
    return learned


def test_a_rotation_keeps_lengths_and_its_transpose_undoes_it():
    turn = rotation("dct")
    there = turn.there(IMAGES)
    assert there.shape == IMAGES.shape and there.dtype == np.float32
    np.testing.assert_allclose(np.sum(there**2), np.sum(IMAGES**2), rtol=1e-5)
    np.testing.assert_allclose(turn.back(there), IMAGES, atol=1e-5)
    other = RNG.standard_normal(IMAGES.shape).astype(np.float32)
    np.testing.assert_allclose(np.sum(there * other), np.sum(IMAGES * turn.back(other)), rtol=1e-4)


def test_the_mean_of_an_image_is_one_coordinate_of_each_channel():
    there = rotation("dct").there(np.ones((1, 8, 6, 2), np.float32))
    assert np.count_nonzero(np.abs(there) > 1e-5) == 2
    np.testing.assert_allclose(there[0, 0, 0], np.sqrt(48), rtol=1e-6)


def test_in_pixels_the_optimiser_is_left_as_it_is():
    adam = optax.adam(0.1)
    assert in_coordinates(adam, "pixel") is adam


def test_adam_moves_the_coefficients_as_if_they_were_what_is_learned():
    learned = ended(in_coordinates(optax.adam(0.1), "dct"))
    adam = optax.adam(0.1)
    params = {"images": scipy.fft.dctn(IMAGES, axes=(1, 2), norm="ortho"), **_labels(ARRAYS)}
    state = adam.init(params)
    for step in range(4):
        g = gradients(step)
        g = {"images": scipy.fft.dctn(g["images"], axes=(1, 2), norm="ortho"), **_labels(g)}
        updates, state = adam.update(g, state)
        params = optax.apply_updates(params, updates)
    expected = scipy.fft.idctn(np.asarray(params["images"]), axes=(1, 2), norm="ortho")
    np.testing.assert_allclose(learned.arrays["images"], expected, atol=1e-5)
    plain = ended(adam).arrays
    assert learned.arrays["labels"].tobytes() == plain["labels"].tobytes()
    assert np.abs(learned.arrays["images"] - plain["images"]).max() > 0.05


def _labels(tree):
    return {"labels": tree["labels"]}


def test_gradient_descent_is_the_same_in_all_orthonormal_coordinates():
    turned, plain = (ended(in_coordinates(optax.sgd(0.1), name)) for name in ("dct", "pixel"))
    np.testing.assert_allclose(turned.arrays["images"], plain.arrays["images"], atol=1e-5)


def test_weights_decay_in_coordinates_too():
    # Its update needs the parameters.
    turned, plain = (
        ended(in_coordinates(optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1)), name))
        for name in ("dct", "pixel")
    )
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(plain.arrays["images"], ended(optax.sgd(0.1)).arrays["images"])
    np.testing.assert_allclose(turned.arrays["images"], plain.arrays["images"], atol=1e-5)


def test_saved_and_restored_it_goes_on_in_the_same_bits():
    adam = in_coordinates(optax.adam(0.1), "dct")
    half = ended(adam, 2)
    restored = restore_learning(adam, half.to_arrays(), tuple(ARRAYS))
    one, other = (each.updated(adam, gradients(2)).to_arrays() for each in (half, restored))
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_what_has_no_coordinates_is_named():
    with pytest.raises(ValueError, match="`coordinates` must be one of pixel, dct, got 'wavelet'"):
        rotation("wavelet")
    adam = in_coordinates(optax.adam(0.1), "dct", images=("labels",))
    with pytest.raises(ValueError, match=r"images must be \[s, h, w, c\], got shape \(3, 4\)"):
        begin_learning(adam, ARRAYS)
