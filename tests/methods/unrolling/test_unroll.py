import dataclasses

import jax
import numpy as np
import pytest

from stillhouse.methods.unrolling import unroll
from stillhouse.methods.unrolling.unroll import (
    kept_every,
    step_programs,
    unroll_bytes,
    unrolled_gradient,
)


@pytest.fixture(autouse=True, scope="module")
def x64():
    """JAX's arrays may be float64 meanwhile."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="module")
def begun(spec, x64):
    """Programs, and float64 parameters."""
    programs = step_programs(spec, "xent", (2, 2, 1), 3)
    params, state = programs.network.init(1)
    return programs, jax.tree_util.tree_map(lambda p: np.asarray(p, np.float64), params), state


def gradient(begun, arrays, **settings):
    return unrolled_gradient(*begun, **arrays, **settings)


@pytest.mark.parametrize(
    ("settings", "differentiated"),
    [({}, range(4)), ({"end": 3}, range(3)), ({"end": 3, "window": 2}, (1, 2))],
)
def test_the_derivatives_are_those_of_differences(begun, arrays, settings, differentiated):
    found = gradient(begun, arrays, **settings)
    rng = np.random.default_rng(2)
    for name in ("images", "labels", "step_sizes"):
        direction = rng.standard_normal(arrays[name].shape)
        if name == "step_sizes":
            ahead = [i not in differentiated for i in range(4)]
            assert not getattr(found, name)[ahead].any()
            direction[ahead] = 0
        elif "window" in settings:
            continue  # Earlier steps have the same images: see below.
        losses = [
            gradient(begun, {**arrays, name: arrays[name] + h * direction}, **settings).loss
            for h in (1e-5, -1e-5)
        ]
        slope = (losses[0] - losses[1]) / 2e-5
        assert np.vdot(getattr(found, name), direction) == pytest.approx(slope, rel=1e-6)


def test_a_window_is_the_rest_of_the_steps_from_where_it_begins(begun, arrays):
    programs, params, state = begun
    windowed = gradient(begun, arrays, end=4, window=2)
    x, y = (arrays[name][arrays["order"]] for name in ("images", "labels"))
    for i in range(2):
        params = programs.update(params, state, arrays["step_sizes"][i], x[i], y[i])
    rest = {**arrays, "step_sizes": arrays["step_sizes"][2:]}
    whole = gradient((programs, params, state), rest)
    assert windowed.loss == whole.loss
    np.testing.assert_array_equal(windowed.images, whole.images)
    np.testing.assert_array_equal(windowed.step_sizes[2:], whole.step_sizes)


def test_weights_that_are_made_again_change_nothing(begun, arrays, monkeypatch):
    plain = gradient(begun, arrays)
    monkeypatch.setattr(unroll, "_KEPT_BYTES", 1)
    assert kept_every(4, begun[0].network.size) == 2
    again = gradient(begun, arrays)
    for field in dataclasses.fields(plain):
        np.testing.assert_array_equal(getattr(plain, field.name), getattr(again, field.name))


def test_targets_in_chunks_come_to_the_same(begun, arrays, monkeypatch):
    plain = gradient(begun, arrays)
    monkeypatch.setattr(unroll, "_CHUNK", 3)
    parts = gradient(begun, arrays)
    assert parts.loss == pytest.approx(plain.loss) and parts.accuracy == plain.accuracy
    np.testing.assert_allclose(parts.images, plain.images, rtol=1e-10)


def test_the_loss_is_that_of_the_weighted_targets(begun, arrays):
    programs, params, state = begun
    x, y, w = arrays["targets"]
    after = params
    for i in range(4):
        rows = arrays["order"][i % 2]
        shown = arrays["images"][rows], arrays["labels"][rows]
        after = programs.update(after, state, arrays["step_sizes"][i], *shown)
    outputs = np.asarray(programs.network.apply(after, state, x, training=True)[0])
    log_p = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    found = gradient(begun, arrays)
    assert found.loss == pytest.approx(-np.sum(w * (y * log_p).sum(axis=1)))
    right = outputs.argmax(axis=1) == y.argmax(axis=1)
    assert found.accuracy == pytest.approx(w[right].sum() / w.sum())


def test_memory_grows_with_the_steps_until_weights_are_made_again(spec):
    programs = step_programs(spec, "xent", (2, 2, 1), 3)

    def bytes_of(steps):
        return unroll_bytes(programs, (2, 2, 1), 3, batch=3, targets=7, steps=steps)

    few, more, many = (bytes_of(steps)["weights of the steps"] for steps in (10, 100, 10**8))
    assert few == 4 * programs.network.size * 11 and more == 4 * programs.network.size * 101
    assert many < 4 * programs.network.size * 10**8 / 1000
