import dataclasses

import pytest

from stillhouse.analysis.training import TrainConfig, train_networks, train_on_draws
from stillhouse.data.labels import centred_one_hot
from stillhouse.networks import NetworkSpec

MLP = NetworkSpec("mlp", width=128, depth=1)
SMALL = TrainConfig(MLP, steps=60, seeds=2, l2=0.0, rate_factor=0.5)


def train(digits, progress=None, **settings):
    config = dataclasses.replace(SMALL, **settings)
    return train_networks(
        config, digits.images, digits.classes, digits.x_test, digits.y_test, progress=progress
    )


@pytest.mark.parametrize("loss", ["mse", "xent"])
def test_a_network_learns_thirty_digits_by_heart_and_knows_others_by_them(digits, loss):
    result = train(digits, loss=loss, steps=300)
    assert [curve[-1].train_accuracy for curve in result.curves] == [1.0, 1.0]
    assert result.mean > 0.5  # A guess is right for 0.1.
    assert (result.train_images, result.test_images) == (30, len(digits.y_test))
    assert result.curves[0][-1].loss < 0.5 * result.curves[0][0].loss


@pytest.mark.parametrize("parameterisation", ["standard", "ntk"])
def test_a_convnet_does_too(digits, parameterisation):
    result = train(
        digits,
        network=NetworkSpec(width=16, depth=2, parameterisation=parameterisation),
        seeds=1,
        steps=300,
    )
    assert result.curves[0][-1].train_accuracy == 1.0
    assert result.mean > 0.6


def test_equal_seeds_give_equal_bits_and_others_do_not(digits):
    first, again = (train(digits, network=NetworkSpec(width=8, depth=1), steps=5) for _ in range(2))
    assert first.curves == again.curves and first.learning_rates == again.learning_rates
    assert len(set(first.learning_rates)) == 2
    # A seed gives the same network, whichever seeds stand beside it.
    (alone,) = train(digits, network=NetworkSpec(width=8, depth=1), steps=5, seed=1, seeds=1).runs
    assert alone.curve == first.runs[1].curve


def test_batches_smaller_than_the_set_serve_too(digits):
    result = train(digits, batch_size=7, steps=300, rate_factor=0.2)
    assert result.curves[0][-1].train_accuracy > 0.9


def test_classes_and_their_centred_labels_are_the_same_set(digits):
    soft = dataclasses.replace(digits, classes=centred_one_hot(digits.classes, 10))
    assert train(soft).curves == train(digits).curves


def test_larger_labels_leave_less_of_what_a_network_answered_before(digits):
    plain, scaled = (train(digits, label_scale=s, steps=300, seeds=3) for s in (1.0, 4.0))
    assert all(b > a for a, b in zip(plain.test_accuracies, scaled.test_accuracies, strict=True))


def test_l2_keeps_parameters_small_enough_to_raise_the_loss(digits):
    free, bound = (train(digits, l2=l2, seeds=1, steps=300) for l2 in (0.0, 0.3))
    assert bound.curves[0][-1].loss > 2 * free.curves[0][-1].loss


def test_batch_norm_is_trained_by_the_batch_and_tested_by_its_averages(digits):
    result = train(digits, network=NetworkSpec(width=8, depth=1, norm="batch"), steps=80, seeds=1)
    assert result.mean > 0.5


def test_a_huge_learning_rate_ends_at_once_and_the_error_says_where(digits):
    reports = []
    with pytest.raises(FloatingPointError, match=r"at step \d+ with learning rate 1e\+10; try a"):
        train(digits, progress=reports.append, learning_rate=1e10)
    assert max(report.step for report in reports) < 30


def test_one_network_that_diverges_leaves_the_others_theirs(digits):
    def draw(seed):
        return digits.images * (1e12 if seed == 0 else 1), digits.classes

    config = dataclasses.replace(SMALL, learning_rate=0.1)
    result = train_on_draws(config, draw, digits.x_test, digits.y_test)
    assert [run.seed for run in result.diverged] == [0]
    assert result.runs[0].diverged_at in (2, 3) and result.runs[0].test_accuracy is None
    assert result.test_accuracies == (result.runs[1].test_accuracy,)


def test_images_beyond_all_numbers_are_told_of_before_training(digits):
    huge = dataclasses.replace(digits, images=digits.images * 1e30)
    with pytest.raises(FloatingPointError, match="tangent kernel"):
        train(huge)


def test_the_learning_rate_is_the_factor_times_the_largest_stable_one(digits):
    half, whole = (train(digits, steps=1, seeds=1, rate_factor=f) for f in (0.5, 1.0))
    assert whole.learning_rates[0] == pytest.approx(2 * half.learning_rates[0])
    assert train(digits, steps=1, learning_rate=0.125).learning_rates == (0.125, 0.125)


def test_progress_tells_each_step_and_curves_the_tests_asked_for(digits):
    reports = []
    result = train(digits, progress=reports.append, steps=20, eval_every=8)
    assert [(r.network, r.step) for r in reports] == [(n, s) for n in (0, 1) for s in range(1, 21)]
    points = {point.step: point for point in result.curves[0]}
    assert [step for step in points if points[step].test_accuracy is not None] == [8, 16, 20]
    assert list(points) == list(range(1, 21))
    assert points[3].loss == reports[2].loss


def test_long_training_leaves_a_curve_of_a_hundred_points(digits):
    (curve,) = train(digits, steps=450, seeds=1).curves
    assert 100 <= len(curve) <= 120 and curve[-1].step == 450


def test_the_last_batch_of_test_images_counts_like_the_others(digits):
    def accuracy(n):
        test = dataclasses.replace(digits, x_test=digits.x_test[:n], y_test=digits.y_test[:n])
        return train(test, seeds=1).mean

    # 250 images at a time: 300 are a whole batch and a part of one.
    rest = dataclasses.replace(digits, x_test=digits.x_test[250:300], y_test=digits.y_test[250:300])
    assert accuracy(300) * 300 == pytest.approx(
        accuracy(250) * 250 + train(rest, seeds=1).mean * 50
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "l1"}, "`loss` must be one of mse, xent"),
        ({"steps": 0}, "`steps` must be positive"),
        ({"label_scale": 0.0}, "`label_scale` must be positive"),
        ({"learning_rate": -1.0}, "`learning_rate` must be positive"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive"),
        ({"momentum": 1.0}, "`momentum`"),
        ({"l2": float("nan")}, "`l2` must not be negative"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(SMALL, **settings)


def test_sets_that_do_not_fit_each_other_are_refused(digits):
    for change, says in [
        ({"x_test": digits.x_test[:, :4]}, "one size"),
        ({"y_test": digits.y_test[:-1]}, "`x_test` but"),
        ({"classes": centred_one_hot(digits.classes % 5, 5)}, "classes 0 to 4"),
        ({"classes": digits.classes[:-1]}, "`labels` must be"),
    ]:
        with pytest.raises(ValueError, match=says):
            train(dataclasses.replace(digits, **change))
