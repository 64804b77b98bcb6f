import dataclasses
import json

import numpy as np
import pytest

from stillhouse.analysis.studies import dimension
from stillhouse.analysis.studies.intrinsic_dimension import two_nn_dimension
from stillhouse.data.records import from_plain, to_plain


@pytest.mark.parametrize("own", [1, 2, 5])
def test_a_flat_sheet_in_many_dimensions_has_its_own(own):
    rng = np.random.default_rng(0)
    points = rng.random((1500, own)) @ rng.standard_normal((own, 30))
    found = two_nn_dimension(points.reshape(1500, 5, 6, 1))
    assert found.estimate == pytest.approx(own, rel=0.12)
    assert 0 < found.error < 0.1 * own and found.points == 1500
    assert abs(found.estimate - own) < 4 * found.error


def test_it_is_the_slope_of_the_ratios_by_a_plain_loop():
    points = np.random.default_rng(1).standard_normal((40, 3))
    ratios = []
    for i, point in enumerate(points):
        distances = sorted(np.linalg.norm(points[j] - point) for j in range(40) if j != i)
        ratios.append(distances[1] / distances[0])
    x = np.log(sorted(ratios))[:36]
    y = -np.log(1 - np.arange(36) / 40)
    expected = np.linalg.lstsq(x[:, None], y, rcond=None)[0][0]
    assert two_nn_dimension(points).estimate == pytest.approx(expected)
    twice = two_nn_dimension(np.concatenate([points, points]))
    assert twice.estimate == pytest.approx(expected) and twice.points == 40
    with pytest.raises(ValueError, match="needs 10 different points or more, got 9"):
        two_nn_dimension(np.concatenate([points[:9]] * 3))


def test_sets_are_beside_as_many_real_images_of_their_classes(materials):
    draws = dimension.real_draws(materials, materials.sets[0].classes, 2)
    rows = [[(x == materials.dataset.x_train).all((1, 2, 3)).argmax() for x in d] for d in draws]
    for some in rows:
        found = materials.dataset.y_train[some]
        np.testing.assert_array_equal(found, materials.sets[0].classes)
        assert len(set(some)) == 12
    assert rows[0] != rows[1]


def test_the_table_is_json_and_the_page_says_what_is_seen(materials):
    short = dataclasses.replace(
        materials.sets[0],
        name="short",
        images=materials.sets[0].images[:6],
        labels=materials.sets[0].labels[:6],
    )
    table = dimension.compute(dataclasses.replace(materials, sets=[materials.sets[0], short]))
    again = from_plain(dimension.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table and len(table.sets[0].real) == 39
    section = dimension.present(again)
    assert all(len(row) == len(section.head) for row in section.rows)
    assert section.rows[1][2:] == ("-", "-", "-") and len(section.charts) == 1
    real = tuple(np.linspace(3, 6, 39).tolist())
    for value, verdict in ((9.0, "seen"), (1.0, "not seen"), (4.5, "too small to tell")):
        one = dimension.Filled("one", 20, value, 0.1, real)
        assert dimension.present(dimension.Table((one,))).findings[0].verdict == verdict
