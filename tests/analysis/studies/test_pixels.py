import dataclasses
import json

import numpy as np
import pytest

from stillhouse.analysis.studies import pixels
from stillhouse.data.records import from_plain, to_plain


@pytest.fixture(scope="module")
def table(materials):
    return pixels.compute(materials)


def test_shares_and_densities_are_those_of_the_raw_values(table, materials):
    low, high = materials.dataset.pixel_range
    assert (table.low, table.high) == (low, high)
    for one, found in zip(materials.sets, table.sets, strict=True):
        beyond = [float(v) for v in one.images.ravel() if not low <= v <= high]
        assert found.outside == pytest.approx(len(beyond) / one.images.size, abs=0.01)
        assert (found.low, found.high) == (one.images.min(), one.images.max())
        total = np.dot(found.density, np.diff(table.edges)) / (high - low)
        assert 0.99 < total < 1.0001  # But for the most extreme ones.
    assert table.real.outside == 0.0 and table.real.p is None


def test_values_outside_are_seen_where_there_are_some(table, materials):
    again = from_plain(pixels.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table
    section = pixels.present(table)
    assert "of 2 sets" in section.findings[0].sentence
    glaring = dataclasses.replace(materials, sets=[materials.sets[1]])
    assert pixels.present(pixels.compute(glaring)).findings[0].verdict == "seen"
    inside = dataclasses.replace(
        materials.sets[0], name="real", images=materials.dataset.x_train[:12].astype(np.float32)
    )
    same = pixels.compute(dataclasses.replace(materials, sets=[inside]))
    assert same.sets[0].outside == 0
    assert pixels.present(same).findings[0].verdict == "not seen"


def test_a_few_values_far_outside_are_not_heaped_up_at_the_ends(materials):
    images = materials.dataset.x_train.astype(np.float32)
    images.ravel()[:: images.size // 2] = 1e6
    one = dataclasses.replace(materials.sets[0], name="wild", images=images)
    found = pixels.compute(dataclasses.replace(materials, sets=[one]))
    low, high = found.edges[0], found.edges[-1]
    assert high < 1e3 and found.sets[0].high == 1e6
    share = np.dot(found.sets[0].density, np.diff(found.edges)) / (found.high - found.low)
    assert share == pytest.approx(((low <= images) & (images <= high)).mean()) != 1.0
