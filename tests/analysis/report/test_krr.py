import time

import numpy as np
import pytest

from stillhouse.analysis.report import Kernel, SupportSet, krr_table, sample_test
from stillhouse.analysis.report.krr import Accuracy, in_turn
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.architecture import conv, fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.costs import step_elements
from stillhouse.methods.kernel_regression.ridge import krr_predict

FC = Kernel("fc:1", KernelSpec(fc(1)))
CONV = Kernel("conv:1", KernelSpec(conv(1)), is_own=True)


class SlowComputer:
    """A computer whose kernels take their time, each element its own."""

    def __init__(self, computer, seconds):
        self._computer, self._seconds = computer, seconds
        self.elements = {spec: 0 for spec in seconds}

    def gram(self, spec, x):
        return self._count(spec, self._computer.gram(spec, x), len(x) * (len(x) + 1) // 2)

    def cross(self, spec, x, x_s):
        return self._count(spec, self._computer.cross(spec, x, x_s), len(x) * len(x_s))

    def _count(self, spec, matrix, elements):
        time.sleep(elements * self._seconds[spec])
        self.elements[spec] += elements
        return matrix


@pytest.fixture
def transform(dataset):
    return fit_transform("standardise", dataset.x_train)


@pytest.fixture
def sets(dataset, distilled):
    second = distilled.transform.apply(dataset.x_train[3:6])
    third = distilled.transform.apply(dataset.x_train[6:9])
    return [
        SupportSet("distilled", distilled.images, distilled.labels),
        SupportSet("random", second, distilled.labels),
        SupportSet("random", third, distilled.labels),
    ]


def test_a_sample_has_as_many_of_each_class(dataset, transform):
    test = sample_test(dataset, transform, 12)
    assert test.images.shape == (12, 6, 5, 3) and test.out_of == 30
    np.testing.assert_array_equal(test.labels.argmax(axis=1).sum(), 4 * (0 + 1 + 2))
    again = sample_test(dataset, transform, 12)
    np.testing.assert_array_equal(test.images, again.images)
    other = sample_test(dataset, transform, 12, seed=1)
    assert not np.array_equal(test.images, other.images)


@pytest.mark.parametrize("size", [None, 30, 1000])
def test_all_test_images_come_in_their_own_order(dataset, transform, size):
    test = sample_test(dataset, transform, size)
    assert test.all_of_them
    np.testing.assert_array_equal(test.images, transform.apply(dataset.x_test))


def test_accuracies_are_those_of_the_regression(computer, dataset, transform, sets):
    test = sample_test(dataset, transform, None)
    table = krr_table(computer, [FC, CONV], sets, test, 1e-3)
    assert table.names == ("distilled", "random") and table.left_out == ()
    for row in table.rows:
        found = []
        for one in sets:
            k_ss = computer.gram(row.kernel.spec, one.images)
            k_ts = computer.cross(row.kernel.spec, test.images, one.images)
            predicted = krr_predict(k_ss, k_ts, one.labels, 1e-3).argmax(axis=1)
            found.append(float(np.mean(predicted == dataset.y_test)))
        assert row.accuracies["distilled"] == Accuracy(found[0])
        draws = row.accuracies["random"]
        assert draws.mean == pytest.approx(np.mean(found[1:]))
        assert draws.deviation == pytest.approx(np.std(found[1:], ddof=1))
        assert (draws.draws, table.draws) == (2, 2)
    assert [row.kernel for row in table.rows] == [FC, CONV]


def test_what_takes_too_long_is_left_out_with_its_time(computer, dataset, transform, sets):
    slow = SlowComputer(computer, {FC.spec: 0.0, CONV.spec: 0.01})
    test = sample_test(dataset, transform, None)
    started = time.monotonic()
    table = krr_table(slow, [CONV, FC], sets, test, 1e-3, seconds=1.0)
    assert time.monotonic() - started < 10
    assert [row.kernel for row in table.rows] == [FC]
    (left_out,) = table.left_out
    assert left_out.kernel == CONV and left_out.accuracies == {}
    elements = 3 * step_elements(3, 30)
    assert left_out.seconds == pytest.approx(elements * 0.01, rel=0.5)
    assert slow.elements[CONV.spec] < elements / 2


def test_the_own_kernel_comes_before_other_dear_ones():
    others = [Kernel(f"fc:{depth}", KernelSpec(fc(depth))) for depth in (2, 3, 4)]
    estimates = dict(
        zip([others[0], CONV, FC, *others[1:]], (30.0, 12.0, 0.4, 2.0, 0.3), strict=True)
    )
    assert in_turn(estimates, 10.0) == [others[2], FC, CONV, others[1], others[0]]


def test_a_set_without_predictions_has_no_accuracy(computer, dataset, transform, distilled):
    alike = np.ones_like(distilled.images)
    sets = [
        SupportSet("distilled", distilled.images, distilled.labels),
        SupportSet("alike", alike, distilled.labels),
    ]
    test = sample_test(dataset, transform, None)
    (row,) = krr_table(computer, [FC], sets, test, 0.0).rows
    assert row.accuracies["alike"] is None and row.of_the_set > 0


def test_progress_names_each_kernel(computer, dataset, transform, sets):
    told = []
    test = sample_test(dataset, transform, 6)
    krr_table(computer, [FC, CONV], sets, test, 1e-3, progress=told.append)
    assert told == ["fc:1", "conv:1"]
