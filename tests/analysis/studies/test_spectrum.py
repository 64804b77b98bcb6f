import dataclasses
import json

import numpy as np
import pytest

from stillhouse.analysis.studies import spectrum
from stillhouse.analysis.studies.bands import band_accuracies
from stillhouse.data.records import from_plain, to_plain


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    x_s, x_t = rng.standard_normal((12, 20)), rng.standard_normal((50, 20))
    y_s = np.eye(3)[np.arange(12) % 3] - 1 / 3
    return x_s @ x_s.T, y_s, x_t @ x_s.T, rng.integers(0, 3, 50)


def test_one_band_is_regression_without_a_ridge(regression):
    K_ss, y_s, K_ts, classes = regression
    (band,) = band_accuracies(*regression, bands=1)
    whole = (K_ts @ np.linalg.solve(K_ss, y_s)).argmax(axis=1) == classes
    assert band.accuracy == whole.mean()
    values = np.linalg.eigvalsh(K_ss)
    assert (band.largest, band.smallest) == pytest.approx((values[-1], values[0]))


def test_a_band_is_the_regression_with_the_kernel_of_its_eigenvectors_alone(regression):
    K_ss, y_s, K_ts, classes = regression
    values, vectors = np.linalg.eigh(K_ss)
    for i, band in enumerate(band_accuracies(*regression, bands=4)):
        part = slice(9 - 3 * i, 12 - 3 * i)  # Ascending here.
        own = vectors[:, part] @ np.diag(values[part]) @ vectors[:, part].T
        predicted = K_ts @ np.linalg.pinv(own, rcond=1e-8) @ y_s
        assert band.accuracy == (predicted.argmax(axis=1) == classes).mean()
    with pytest.raises(ValueError, match="12 images have no spectrum of 13 bands"):
        band_accuracies(*regression, bands=13)
    with pytest.raises(ValueError, match="singular"):
        band_accuracies(np.zeros((12, 12)), y_s, K_ts, classes)


def test_the_table_is_json_and_the_page_says_what_is_seen(materials, monkeypatch):
    monkeypatch.setattr(spectrum, "DRAWS", 3)
    one = materials.sets[0]
    twins = dataclasses.replace(one, name="twins", images=one.images[[0] * 12])
    sizes = dataclasses.replace(materials.sizes, kernel="fc:1")
    table = spectrum.compute(dataclasses.replace(materials, sets=[one, twins], sizes=sizes))
    again = from_plain(spectrum.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table and table.sets[1].bands == ()
    assert table.kernel == "NTK of fc:1" and len(table.sets[0].real) == 3
    section = spectrum.present(again)
    assert all(len(row) == len(section.head) for row in section.rows)
    assert [row[0] for row in section.rows] == ["plain", "as many real images as plain", "twins"]
    assert section.findings[0].verdict == "too small to tell"
