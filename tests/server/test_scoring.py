import numpy as np
import pytest

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Interrupted
from stillhouse.methods.kernel_regression.evaluation import KrrScoring


def ridge_by_hand(computer, spec, x_s, y_s, x, y):
    """Scores as they are written down, with numpy alone."""
    gram = computer.gram(spec, x_s).astype(np.float64)
    ridge = 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    predictions = computer.cross(spec, x, x_s) @ np.linalg.solve(gram + ridge, y_s)
    right = predictions.argmax(1) == y.argmax(1)
    return right.mean(), 0.5 * np.mean((predictions - y) ** 2)


def test_scores_are_those_of_all_test_images_at_once(workshop):
    images, labels = workshop.start()
    scores = workshop.scoring().test(images, labels)
    ((x, y),) = workshop.batches().chunks("test", 1000)
    spec = KernelSpec(fc(1))
    expected = ridge_by_hand(workshop.computer, spec, images, labels, x, y)
    assert (scores["test_accuracy"], scores["test_mse"]) == pytest.approx(expected, rel=1e-5)


def test_another_kernel_can_be_asked_for(workshop):
    images, labels = workshop.start()
    kernels = {"a": KernelSpec(fc(1)), "b": KernelSpec(fc(2), "nngp")}
    scoring = KrrScoring(workshop.computer, kernels, workshop.batches(), 1e-6)
    ((x, y),) = workshop.batches().chunks("test", 1000)
    expected = ridge_by_hand(workshop.computer, kernels["b"], images, labels, x, y)
    scores = scoring.test(images, labels, "b")
    assert (scores["test_accuracy"], scores["test_mse"]) == pytest.approx(expected, rel=1e-5)
    assert scoring.test(images, labels) == scoring.test(images, labels, "a")


def test_gives_up_when_asked(workshop):
    with pytest.raises(Interrupted):
        workshop.scoring(should_stop=lambda: True).test(*workshop.start())
