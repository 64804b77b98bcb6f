import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from stillhouse.analysis.studies import mixing
from stillhouse.data.records import from_plain, to_plain


@pytest.fixture(scope="module")
def table(materials):
    return mixing.compute(materials)


def test_networks_see_the_set_and_the_same_real_images(counting):
    materials, tasks = counting
    table = mixing.compute(materials)
    seen = [(one.name, one.images, one.real) for one in table.rows]
    assert seen == [
        *(("plain", 4, real) for real in (0, 1, 4)),
        *(("glaring", 4, real) for real in (0, 1, 4)),
        *(("real alone", 0, real) for real in (1, 4)),
    ]
    assert all(len(one.accuracies) == 2 for one in table.rows)
    assert len(tasks) == 16 and [int(task.own[0][0]) for task in tasks] == [0, 1] * 8
    assert [len(task.shared[0]) for task in tasks] == [12] * 12 + [0] * 4
    rows = [task.own[1] for task in tasks[::2]]
    for with_plain, with_glaring in zip(rows[:3], rows[3:6], strict=True):
        np.testing.assert_array_equal(with_plain, with_glaring)
    np.testing.assert_array_equal(rows[2], rows[7])
    assert np.bincount(materials.dataset.y_train[rows[2]]).tolist() == [4, 4, 4]


def test_more_real_images_than_there_are_are_left_out(materials, table):
    sizes = dataclasses.replace(materials.sizes, real=("0", "51"), networks=1, steps=1)
    few = mixing.compute(dataclasses.replace(materials, sizes=sizes))
    assert few.left_out == (51,) and {one.real for one in few.rows} == {0}
    section = mixing.present(few)
    assert section.findings[0].verdict == "too small to tell" and "51 a class" in section.notes[0]
    assert table.left_out == ()


def rows(*accuracies):
    return [
        mixing.Mixed("one", 10, real, values)
        for real, values in zip((0, 2, 10, 50), accuracies, strict=True)
    ]


def test_the_gain_is_by_as_many_real_images_with_its_interval():
    gain = mixing.gain_of(
        rows((0.80, 0.82, 0.81), (0.7, 0.7, 0.7), (0.805, 0.82, 0.812), (0.9, 0.9, 0.9))
    )
    gains = (0.005, 0.0, 0.002)
    low, high = stats.t.interval(0.95, 2, np.mean(gains), stats.sem(gains))
    assert (gain.real, gain.verdict) == (10, "seen")
    assert (gain.low, gain.high) == pytest.approx((low, high))
    much = mixing.gain_of(rows((0.4, 0.41), (0.5, 0.5), (0.6, 0.61), (0.9, 0.9)))
    assert much.verdict == "not seen"
    unsure = mixing.gain_of(rows((0.4, 0.6), (0.5, 0.5), (0.5, 0.5), (0.9, 0.9)))
    assert unsure.verdict == "too small to tell"
    assert mixing.gain_of(rows((0.4,), (0.5,), (0.5,), (0.9,))).verdict == "too small to tell"


def test_the_page_has_every_number(table):
    assert from_plain(mixing.Table, json.loads(json.dumps(to_plain(table)))) == table
    section = mixing.present(table)
    assert [row[0] for row in section.rows] == ["plain", "glaring", "real alone"]
    assert section.head[1:4] == ("+ 0 real", "+ 1 real", "+ 4 real")
    assert section.rows[2][1] == "-" and "points to glaring" in section.findings[0].sentence
