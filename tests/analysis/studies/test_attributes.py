import numpy as np
import pytest

from stillhouse.analysis.studies.attributes import attributes, purity, spread_within


def test_attributes_are_what_the_eye_says():
    images = np.zeros((4, 16, 16, 3), np.uint8)
    images[1] = 255
    images[2, ..., 0] = 255
    images[3, :, 8:] = 255  # An edge down the middle.
    found = attributes(images, (0.0, 255.0))
    assert list(found) == [
        *("red", "green", "blue", "brightness", "contrast", "edges", "background")
    ]
    np.testing.assert_allclose(found["red"], [0, 1, 1, 0.5])
    np.testing.assert_allclose(found["brightness"], [0, 1, 0.299, 0.5])
    np.testing.assert_allclose(found["contrast"], [0, 0, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(found["edges"], [0, 0, 0, 2 / 16])
    images[0, 4:12, 4:12] = 255
    found = attributes(images[:1], (0.0, 255.0))
    assert found["background"] == [0] and found["brightness"] == pytest.approx(0.25)
    grey = attributes(np.full((2, 5, 5, 1), 7.0), (-1.0, 15.0))
    assert "red" not in grey and grey["brightness"].tolist() == [0.5, 0.5]


@pytest.fixture
def chosen():
    """A hundred values, and groups of five that are near in one of two classes."""
    rng = np.random.default_rng(0)
    values, classes = rng.standard_normal(100), np.arange(100) % 2
    order = np.flatnonzero(classes == 0)[np.argsort(values[classes == 0])]
    return values, classes, order[:25].reshape(5, 5), rng.integers(0, 100, (5, 5))


def test_what_is_alike_is_told_from_chance(chosen):
    values, classes, near, drawn = chosen
    options = {"permutations": 199, "seed": 0}
    found = spread_within(values, near, **options, within=classes)
    assert found.found < 0.2 * found.chance and found.p_value == 1 / 200
    other = spread_within(values, drawn, **options)
    assert other.p_value > 0.05 and other.chance == pytest.approx(0.8, abs=0.1)
    direct = np.mean([values[rows].var() for rows in near]) / values.var()
    assert found.found == pytest.approx(direct)


def test_what_a_class_has_in_common_does_not_count_within_it(chosen):
    values, classes, near, _ = chosen
    values = 10.0 * classes + 0.01 * np.random.default_rng(1).standard_normal(100)
    options = {"permutations": 199, "seed": 0}
    assert spread_within(values, near, **options).p_value == 1 / 200
    assert spread_within(values, near, **options, within=classes).p_value > 0.05


def test_purity_is_told_from_chance(chosen):
    _, classes, near, drawn = chosen
    found = purity(classes, near, permutations=199, seed=0)
    assert found.found == 1 and found.p_value == 1 / 200 and 0.6 < found.chance < 0.8
    assert purity(classes, drawn, permutations=199, seed=0).p_value > 0.05
