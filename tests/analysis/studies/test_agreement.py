import dataclasses
import json

import numpy as np
import pytest

from stillhouse.analysis.studies import agreement
from stillhouse.data.records import from_plain, to_plain


def test_networks_of_one_accuracy_are_compared_by_hand():
    classes = np.zeros(100, np.int32)

    def answers(right, as_second=0):
        """Answers of which so many are right, and so many of the others are 2 in place of 1."""
        found = np.ones(100, np.int32)
        found[:right] = 0
        found[100 - as_second :] = 2
        return found

    own = np.stack([answers(60), answers(70)])
    along = np.stack([answers(10), answers(59, as_second=5), answers(80)])
    match = agreement.nearest(own, along, (0, 30, 90), classes)
    # The first is compared with it at 30: 59 right ones alike, the 60th not, 35 of the 40 others.
    # The second never: 59 and 80 are further than a hundredth from 70.
    assert match == agreement.Match(30, 0.59, pytest.approx((59 + 35) / 100))
    assert agreement.nearest(own, along[2:], (90,), classes) is None
    both = agreement.nearest(own, np.stack([answers(60), answers(69)]), (20, 40), classes)
    assert both.seen == 30 and both.accuracy == pytest.approx(0.645)
    assert both.agreement == pytest.approx((1.0 + 0.99) / 2)


@pytest.fixture(scope="module")
def table(materials):
    return agreement.compute(materials)


def test_it_counts_what_networks_answer_alike(table, materials):
    assert table.tests == 60 and [one.name for one in table.sets] == ["plain", "glaring"]
    pairs = [(one.first, one.second) for one in table.between]
    assert pairs == [("plain", "plain"), ("plain", "glaring"), ("glaring", "glaring")]
    for one in table.sets:
        assert len(one.accuracies) == 2 and len(one.early) <= 3
        # One of each rung of the ladder that the data have images for, and three for each set.
        assert len(one.subsets) <= 4 + 2 * 3
        for match in (*one.early, *one.subsets):
            gaps = [abs(match.accuracy - own) for own in one.accuracies]
            assert min(gaps) <= 0.01 + 1e-6 or len(gaps) > 1
            assert 0 <= match.agreement <= 1
    again = from_plain(agreement.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table
    section = agreement.present(table)
    assert all(len(row) == len(section.head) for row in section.rows)


def test_fewer_snapshots_find_the_same_steps(materials, table):
    sizes = dataclasses.replace(materials.sizes, snapshots=4)
    few = agreement.compute(dataclasses.replace(materials, sizes=sizes))
    for one, other in zip(table.sets, few.sets, strict=True):
        assert one.subsets == other.subsets
        assert len(other.early) >= len(one.early) - 1


def matches(*values):
    return tuple(agreement.Match(30, 0.8, value) for value in values)


def agreed(early, subsets):
    found = matches(*early), matches(*subsets)
    return agreement.Agreed("one", (0.8,), *found, agreement.chance_of(*found))


def test_what_is_nearer_is_said_where_it_can_be_told():
    high, low = (0.9, 0.91, 0.92, 0.93, 0.94), (0.8, 0.81, 0.82, 0.83, 0.84)
    between = (agreement.Between("one", "one", None),)

    def verdict(early, subsets):
        table = agreement.Table(100, (agreed(early, subsets),), between)
        section = agreement.present(table)
        return section.findings[0].verdict, len(section.charts), len(section.notes)

    assert verdict(high, low) == ("seen", 1, 0)
    assert verdict(low, high) == ("not seen", 1, 0)
    assert verdict(high, high) == ("too small to tell", 1, 0)
    assert verdict(high[:2], low) == ("too small to tell", 1, 0)
    assert verdict((), low) == ("too small to tell", 0, 1)
