import pytest

from stillhouse.analysis.report import SupportSet, sample_test, train_on_each
from stillhouse.data.transforms import fit_transform


def test_draws_and_seeds_are_counted_together(dataset, distilled):
    transform = fit_transform("standardise", dataset.x_train)
    test = sample_test(dataset, transform, 9)
    names = ["distilled", "random", "random", "diverges"]
    sets = [SupportSet(name, distilled.images, distilled.labels) for name in names]
    given = iter([(0.9, 0.7), (0.5,), (0.4, 0.6), ()])
    found = train_on_each(
        sets, test, lambda one: next(given), network="a network", command="stillhouse train"
    )
    assert list(found.accuracies) == ["distilled", "random", "diverges"]
    assert found.accuracies["distilled"].mean == pytest.approx(0.8)
    assert (found.accuracies["random"].mean, found.accuracies["random"].draws) == (0.5, 3)
    assert found.accuracies["diverges"] is None
    assert (found.test_images, found.out_of) == (9, 30)
