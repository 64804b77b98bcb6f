import dataclasses

import numpy as np
import pytest

from stillhouse.kernels.architecture import convnet, fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import NonFiniteStepError
from stillhouse.methods.coresets import random_subset
from stillhouse.methods.kernel_regression.evaluation import evaluate_krr
from stillhouse.methods.kernel_regression.kip import (
    KipConfig,
    initial_state,
    kip_step,
    state_from_arrays,
    state_to_arrays,
)


def _one_hot(labels):
    return (np.eye(10)[labels] - 0.1).astype(np.float32)


def _start(config, digits, *, seed=0):
    images, labels = random_subset(*digits[0], 10, num_classes=10, seed=seed)
    return initial_state(config, images, _one_hot(labels))


def _batch(digits, step, size=300):
    chosen = np.random.default_rng([7, step]).choice(1400, size, replace=False)
    return digits[0][0][chosen], _one_hot(digits[0][1][chosen])


def _run(config, state, computer, digits, steps):
    history = []
    for _ in range(steps):
        state, metrics = kip_step(config, state, computer, *_batch(digits, state.step))
        history.append(metrics)
    return state, history


def _test_scores(computer, spec, state, digits):
    x, labels = digits[1]
    return evaluate_krr(computer, spec, state.images, state.labels, [(x, _one_hot(labels))])


def _moved(state, **arrays):
    """The state with other values in place of some that are learned."""
    learned = dataclasses.replace(state.learned, arrays={**state.learned.arrays, **arrays})
    return dataclasses.replace(state, learned=learned)


def _bits(state):
    return {name: array.tobytes() for name, array in state_to_arrays(state).items()}


@pytest.fixture
def config(spec):
    return KipConfig((spec,))


def test_ten_steps_beat_the_real_images_they_start_from(config, spec, computer, digits):
    start = _start(config, digits)
    state, history = _run(config, start, computer, digits, 10)
    before, after = (_test_scores(computer, spec, s, digits) for s in (start, state))
    assert state.step == 10
    assert history[-1].loss < 0.8 * history[0].loss
    assert history[-1].accuracy > history[0].accuracy + 0.1
    assert after.accuracy > before.accuracy + 0.1
    assert after.mse < before.mse


def test_learned_labels_do_better_than_fixed_ones(config, spec, computer, digits):
    fixed_config = dataclasses.replace(config, learn_labels=False)
    start = _start(config, digits)
    learned, _ = _run(config, start, computer, digits, 20)
    fixed, _ = _run(fixed_config, _start(fixed_config, digits), computer, digits, 20)
    assert fixed.labels.tobytes() == start.labels.tobytes()
    assert np.abs(learned.labels - start.labels).max() > 0.01
    learned_scores, fixed_scores = (
        _test_scores(computer, spec, s, digits) for s in (learned, fixed)
    )
    assert learned_scores.mse < fixed_scores.mse


def test_the_gradient_is_that_of_the_loss(config, computer, digits):
    """Adam's first moment after one step is 0.1 times the gradient."""
    state = _start(config, digits)
    x_t, y_t = _batch(digits, 0)
    after, metrics = kip_step(config, state, computer, x_t, y_t)
    rng = np.random.default_rng(0)
    direction = {
        "images": rng.normal(size=state.images.shape),
        "labels": rng.normal(size=state.labels.shape),
    }
    for name, along in direction.items():
        losses = []
        for sign in (1, -1):
            moved = getattr(state, name) + (sign * 1e-2 * along).astype(np.float32)
            there = _moved(state, **{name: moved})
            losses.append(kip_step(config, there, computer, x_t, y_t)[1].loss)
        slope = (losses[0] - losses[1]) / 2e-2
        first_moment = after.learned.opt_state[0].mu[name].astype(np.float64)
        assert 10 * np.sum(first_moment * along) == pytest.approx(slope, rel=2e-2)
    assert metrics.loss == pytest.approx(np.mean(losses), rel=0.05)


def test_the_gradient_of_the_cross_entropy_is_that_of_the_loss(spec, computer, digits):
    config = KipConfig((spec,), loss="cross_entropy")
    state = _start(config, digits)
    x_t, y_t = _batch(digits, 0)
    moments = kip_step(config, state, computer, x_t, y_t)[0].learned.opt_state[0].mu
    rng = np.random.default_rng(0)
    for name, array in state.learned.arrays.items():
        along = rng.normal(size=array.shape)
        high, low = (
            kip_step(
                config, _moved(state, **{name: (array + sign * along).astype(np.float32)}),
                computer, x_t, y_t,
            )[1].loss
            for sign in (1e-2, -1e-2)
        )  # fmt: skip
        slope = 10 * np.sum(moments[name].astype(np.float64) * along)
        assert slope == pytest.approx((high - low) / 2e-2, rel=2e-2)


def test_the_cross_entropy_finds_more_classes_and_leaves_labels_in_the_scale_of_one_hot_ones(
    spec, computer, digits
):
    config = KipConfig((spec,), loss="cross_entropy")
    start = _start(config, digits)
    assert start.scale == pytest.approx(4, rel=1e-6) and start.label_scale == 1
    state, history = _run(config, start, computer, digits, 40)
    assert history[-1].loss < 0.8 * history[0].loss
    np.testing.assert_allclose(state.labels.sum(axis=1), 0, atol=1e-6)
    x, labels = digits[1]
    scores = {
        name: evaluate_krr(computer, spec, state.images, y, [(x, _one_hot(labels))])
        for name, y in (("learned", state.labels), ("left", state.one_hot_labels))
    }
    assert scores["left"].accuracy == scores["learned"].accuracy
    assert scores["left"].accuracy > _test_scores(computer, spec, start, digits).accuracy + 0.05
    # Less than nothing learned would give, .045, and less than the labels as they are.
    assert scores["left"].mse < min(scores["learned"].mse, 0.04)
    fixed = dataclasses.replace(config, learn_labels=False)
    after, _ = _run(fixed, _start(fixed, digits), computer, digits, 2)
    assert after.one_hot_labels.tobytes() == start.labels.tobytes()
    assert after.scale != start.scale


def test_a_fixed_label_without_a_class_is_refused_for_the_cross_entropy(spec, digits):
    images, labels = random_subset(*digits[0], 10, num_classes=10, seed=0)
    labels = _one_hot(labels)
    labels[3] = 0
    with pytest.raises(ValueError, match="label 3 .* has no class.*learn the labels, or use mse"):
        initial_state(KipConfig((spec,), loss="cross_entropy", learn_labels=False), images, labels)
    initial_state(KipConfig((spec,), loss="cross_entropy"), images, labels)


def test_a_step_moves_every_value_by_the_learning_rate_at_first(config, computer, digits):
    """Adam's first step has the size of its rate, whatever the gradient."""
    state = _start(config, digits)
    after, _ = kip_step(config, state, computer, *_batch(digits, 0))
    moved = np.abs(after.images - state.images)
    assert np.median(moved) == pytest.approx(0.04, rel=1e-2)
    assert moved.max() < 0.0401


def test_equal_steps_have_equal_bits_and_leave_their_state_alone(config, computer, digits):
    state = _start(config, digits)
    before = _bits(state)
    batch = _batch(digits, 0)
    one, one_metrics = kip_step(config, state, computer, *batch)
    two, two_metrics = kip_step(config, state, computer, *batch)
    assert _bits(one) == _bits(two)
    assert one_metrics == two_metrics
    assert _bits(state) == before


def test_with_decay_the_steps_get_smaller_until_they_end(config, computer, digits):
    config = dataclasses.replace(config, decay_steps=4)
    state, moved = _start(config, digits), []
    for step in range(5):
        after, _ = kip_step(config, state, computer, *_batch(digits, step))
        moved.append(np.abs(after.images - state.images).max())
        state = after
    assert moved[0] == pytest.approx(0.04, rel=1e-2)
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learn_labels": False},
        {"decay_steps": 6, "coordinates": "dct"},
        {"loss": "cross_entropy"},
        {"loss": "cross_entropy", "learn_labels": False},
    ],
)
def test_a_resumed_run_ends_in_the_same_bits(spec, computer, digits, options, tmp_path):
    config = KipConfig((spec,), **options)
    straight, _ = _run(config, _start(config, digits), computer, digits, 6)

    half, _ = _run(config, _start(config, digits), computer, digits, 3)
    np.savez(tmp_path / "state.npz", **state_to_arrays(half))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        read = state_from_arrays(config, arrays)
    assert read.step == 3
    assert _bits(read) == _bits(half)
    resumed, _ = _run(config, read, computer, digits, 3)
    assert _bits(resumed) == _bits(straight)


def test_the_kernel_of_a_step_is_a_function_of_seed_and_step(computer, digits):
    specs = tuple(KernelSpec(fc(depth)) for depth in (1, 2, 3))
    config = KipConfig(specs, seed=5)
    sampled = [config.spec_of_step(step) for step in range(60)]
    assert sampled == [KipConfig(specs, seed=5).spec_of_step(step) for step in range(60)]
    assert sampled != [KipConfig(specs, seed=6).spec_of_step(step) for step in range(60)]
    assert all(10 <= sampled.count(spec) <= 30 for spec in specs)

    _, history = _run(config, _start(config, digits), computer, digits, 4)
    assert computer.specs == sampled[:4]
    assert [metrics.spec for metrics in history] == sampled[:4]


class _Broken:
    """Passes on to a computer, until a given pass of a given step returns NaN."""

    def __init__(self, computer, *, forward_from=99, backward_from=99):
        self.computer, self.elements = computer, 0
        self.left = {"forward": forward_from, "backward": backward_from}

    def forward(self, *arguments):
        K_ss, K_ts = self.computer.forward(*arguments)
        self.left["forward"] -= 1
        if self.left["forward"] < 0:
            K_ts[3, 4] = np.nan
        return K_ss, K_ts

    def backward(self, *arguments):
        gradient = self.computer.backward(*arguments)
        self.left["backward"] -= 1
        return gradient * (np.inf if self.left["backward"] < 0 else 1)


@pytest.mark.parametrize("broken_pass", ["forward_from", "backward_from"])
def test_nan_stops_with_the_step_named_and_the_state_untouched(
    config, computer, digits, broken_pass
):
    broken = _Broken(computer, **{broken_pass: 2})
    state, _ = _run(config, _start(config, digits), broken, digits, 2)
    before = _bits(state)
    with pytest.raises(
        NonFiniteStepError, match=r"step 3: .*not finite; try a lower `learning_rate` \(now 0.04\)"
    ) as caught:
        kip_step(config, state, broken, *_batch(digits, 2))
    assert caught.value.step == 3
    assert state.step == 2
    assert _bits(state) == before


def test_a_singular_support_set_is_a_non_finite_loss(spec, computer, digits):
    config = KipConfig((spec,), regularisation=0.0)
    state = _start(config, digits)
    twice = _moved(state, images=np.repeat(state.images[:1], 10, axis=0))
    with pytest.raises(NonFiniteStepError, match="larger `regularisation`"):
        kip_step(config, twice, computer, *_batch(digits, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"specs": ()}, "`specs` must hold at least one"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive, got 0.0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive"),
        ({"decay_steps": 0}, "`decay_steps` must be 1 or more, or None, got 0"),
        ({"regularisation": -1e-6}, "`regularisation` must be zero or positive"),
        ({"seed": -1}, "`seed` must be a whole number"),
        ({"loss": "hinge"}, "`loss` must be one of mse, cross_entropy, got 'hinge'"),
        ({"coordinates": "rgb"}, "`coordinates` must be one of pixel, dct, got 'rgb'"),
    ],
)
def test_wrong_options_are_named(spec, options, message):
    with pytest.raises(ValueError, match=message):
        KipConfig(**{"specs": (spec,), **options})


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((10, 8, 8)), np.zeros((10, 10)), r"`images` must be \[s, h, w, c\]"),
        (np.zeros((10, 8, 8, 1)), np.zeros((9, 10)), r"`labels` must be \[10, k\]"),
        (np.full((1, 8, 8, 1), np.inf), np.zeros((1, 10)), "`images` must be finite"),
        (np.zeros((1, 8, 8, 1)), np.full((1, 10), np.nan), "`labels` must be finite"),
        (np.zeros((1, 4, 4, 1)), np.zeros((1, 10)), "too small"),
    ],
)
def test_wrong_starts_are_named(images, labels, message):
    with pytest.raises(ValueError, match=message):
        initial_state(KipConfig((KernelSpec(convnet()),)), images, labels)


def test_a_target_batch_of_other_images_is_named(config, computer, digits):
    state = _start(config, digits)
    with pytest.raises(ValueError, match=r"`x_t` must be \[t, 8, 8, 1\]"):
        kip_step(config, state, computer, np.zeros((5, 8, 8, 3), np.float32), np.zeros((5, 10)))


def test_a_state_of_another_config_is_refused(config, digits):
    arrays = state_to_arrays(_start(config, digits))
    assert "opt_state/0" in arrays
    del arrays["opt_state/0"]
    with pytest.raises(ValueError, match="opt_state/0.* is missing"):
        state_from_arrays(config, arrays)
    fixed = dataclasses.replace(config, learn_labels=False)
    with pytest.raises(
        ValueError,
        match="not a state of these settings: opt_state/2",
    ):
        state_from_arrays(fixed, state_to_arrays(_start(config, digits)))
