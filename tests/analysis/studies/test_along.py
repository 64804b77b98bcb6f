import json

import numpy as np
import pytest
from scipy import stats

from stillhouse.analysis.studies import along
from stillhouse.analysis.studies.asking import spread
from stillhouse.data.records import from_plain, to_plain


def test_it_asks_the_networks_as_they_were(materials, pool):
    table = along.compute(materials)
    assert table.steps == tuple(range(13))  # Of 15, up to --iterations=12.
    assert [one.name for one in table.sets] == ["plain", "glaring"]
    assert table.real.name == "real test images"
    assert np.shape(table.real.accuracies) == (3, 13)
    tests, classes = materials.tests
    for step in (0, 12):
        params, state = pool.network.unpack(pool.weights(1, step))
        outputs = pool.network.apply(params, state, pool.transform.apply(tests), training=False)[0]
        right = np.mean(np.asarray(outputs).argmax(axis=1) == classes)
        assert table.real.accuracies[1][step] == pytest.approx(right)
    assert from_plain(along.Table, json.loads(json.dumps(to_plain(table)))) == table
    section = along.present(table)
    assert all(len(row) == len(section.head) for row in section.rows)
    assert "From iteration 4 to 12" in section.findings[0].sentence


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, [0, 2, 4, 6, 8]), (5, [0, 2, 4, 6, 8]), (3, [0, 4, 8]), (2, [0, 8]), (1, [0, 8])],
)
def test_snapshots_are_evenly_spread(most, expected):
    assert spread((0, 2, 4, 6, 8), most) == expected


STEPS = tuple(range(0, 301, 20))


def curve(name, at_100, at_300):
    """Networks that rise to one value at iteration 100, and go on to another."""
    rng = np.random.default_rng(len(name))
    values = [
        np.interp(STEPS, (0, 80, 120, 260, 300), (0.1, early, early, late, late))
        for early, late in zip(at_100, at_300 + rng.normal(0, 1e-3, 4), strict=True)
    ]
    return along.Curve(name, tuple(map(tuple, values)))


def verdict(learned, real):
    return along.present(along.Table(STEPS, (learned,), real)).findings[0].verdict


def test_saturation_is_seen_where_real_accuracy_rises_by_more():
    real = curve("real test images", np.full(4, 0.5), np.full(4, 0.7))
    assert verdict(curve("one", np.full(4, 0.95), np.full(4, 0.96)), real) == "seen"
    assert verdict(curve("one", np.full(4, 0.3), np.full(4, 0.8)), real) == "not seen"
    flat = curve("real test images", np.full(4, 0.5), np.full(4, 0.4))
    assert verdict(curve("one", np.full(4, 0.9), np.full(4, 0.5)), flat) == "not seen"
    noisy = curve("one", np.full(4, 0.6), np.array([0.9, 0.6, 0.95, 0.5]))
    assert verdict(noisy, real) == "too small to tell"


def test_the_chance_is_that_of_a_paired_test():
    real = curve("real", np.full(4, 0.5), np.array([0.7, 0.72, 0.68, 0.75]))
    one = curve("one", np.full(4, 0.9), np.array([0.95, 0.9, 0.93, 0.99]))
    later = along.later_gains(along.Table(STEPS, (one,), real), one)
    middle = STEPS.index(100)
    gains = [
        np.mean(np.array(x.accuracies)[:, -3:], axis=1)
        - np.mean(np.array(x.accuracies)[:, middle - 1 : middle + 2], axis=1)
        for x in (one, real)
    ]
    assert later.gained == pytest.approx(gains[0].mean())
    assert later.p == pytest.approx(stats.ttest_rel(gains[1], gains[0]).pvalue)
