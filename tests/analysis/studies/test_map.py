import json
import sys

import numpy as np
import pytest

from stillhouse.analysis.studies import map as study
from stillhouse.analysis.studies import projection
from stillhouse.data.records import from_plain, to_plain


@pytest.fixture
def without_umap(monkeypatch):
    """As where umap-learn is not installed."""
    monkeypatch.setitem(sys.modules, "umap", None)


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    return rng.standard_normal((60, 8)) + 20 * np.eye(8)[classes], classes


def test_components_are_those_of_the_singular_vectors(without_umap, blobs):
    features, _ = blobs
    plane = projection.onto_plane(features, seed=0)
    centred = features - features.mean(axis=0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(plane.points), np.abs(centred @ vectors[:2].T), atol=1e-8)
    assert plane.method == "PCA"
    assert plane.explained == pytest.approx((values[:2] ** 2).sum() / (values**2).sum())


def test_neighbours_are_those_of_a_plain_loop(blobs):
    features, classes = blobs
    drawn = np.random.default_rng(1).standard_normal((4, 8)) + features[:4]
    found = projection.nearest_alike(drawn, classes[:4], features, classes)
    for one, label, near in zip(drawn, classes, found, strict=False):
        order = np.argsort(np.linalg.norm(features - one, axis=1))[:5]
        np.testing.assert_array_equal(near, classes[order] == label)
    themselves = projection.nearest_alike(features, classes, features, classes, themselves=True)
    assert themselves.shape == (60, 5) and themselves.all()


def test_the_table_is_json_and_the_page_says_how_it_was_drawn(without_umap, materials):
    table = study.compute(materials)
    again = from_plain(study.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table and table.method == "PCA"
    section = study.present(again)
    assert section.findings[0].verdict == "seen"
    assert [row[0] for row in section.rows] == ["plain", "glaring", "real test images"]
    assert all(len(row) == len(section.head) for row in section.rows)
    assert "drawn by PCA" in section.notes[0] and "umap-learn" in section.notes[0]
    assert len(section.charts) == 2 and "by PCA" in section.charts[0].title


def test_where_umap_is_installed_it_draws_what_is_near_near(blobs):
    pytest.importorskip("umap.umap_", reason="umap-learn, the extra `study`, is not installed")
    features, classes = blobs
    plane = projection.onto_plane(features, seed=0)
    assert plane.method == "UMAP" and plane.explained is None and plane.points.shape == (60, 2)
    assert (
        projection.nearest_alike(
            plane.points, classes, plane.points, classes, themselves=True
        ).mean()
        > 0.95
    )
