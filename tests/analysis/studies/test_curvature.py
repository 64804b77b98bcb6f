import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.analysis.studies import curvature
from stillhouse.analysis.studies.curvature import Curve, Point, Table
from stillhouse.data.records import from_plain, to_plain


@pytest.fixture(scope="module")
def table(materials):
    sizes = dataclasses.replace(
        materials.sizes, probes=12, curvature_points=3, curvature_images=30, top_eigenvalue=True
    )
    return curvature.compute(dataclasses.replace(materials, sizes=sizes))


def test_the_trace_is_that_of_the_whole_hessian(table, materials, pool):
    assert [point.step for point in table.real.points] == [0, 6, 12]
    assert table.real.images == 30
    one, point = materials.sets[0], table.sets[0].points[1]
    x = pool.transform.apply(one.images)

    def loss(vector):
        outputs, _ = pool.network.apply(*pool.network.unpack(vector), x, training=False)
        return -jnp.mean(jax.nn.log_softmax(outputs)[jnp.arange(len(x)), one.classes])

    weights = jnp.asarray(pool.weights(0, 6))
    # Reverse over reverse, a row at a time.
    row = jax.jit(lambda v: jax.grad(lambda t: jax.grad(loss)(t) @ v)(weights))
    whole = np.stack([row(v) for v in np.eye(len(weights), dtype=np.float32)])
    assert abs(point.trace - np.trace(whole)) < 4 * point.error
    assert point.eigenvalue == pytest.approx(np.linalg.eigvalsh(whole)[-1], rel=5e-3)
    assert point.loss == pytest.approx(float(loss(weights)), rel=1e-5)


def test_the_table_is_json_and_the_page_says_it(table):
    again = from_plain(Table, json.loads(json.dumps(to_plain(table))))
    assert again == table
    section = curvature.present(again)
    assert [row[0] for row in section.rows] == ["plain", "glaring", "real training images"]
    assert all(len(row) == len(section.head) for row in section.rows)
    assert "12 probes" in section.caption and section.charts[0].png.startswith(b"\x89PNG")


def curve(name, *traces):
    wave = np.array([-1.0, 1.0, -0.5, 0.5])
    points = [
        Point(10 * i, tuple((m + wave * (1 + i / 9)).tolist()), 1.0) for i, m in enumerate(traces)
    ]
    return Curve(name, 10, tuple(points))


@pytest.mark.parametrize(
    ("traces", "verdict"),
    [
        ((5, 90, 60, 20, 8), "seen"),  # A peak at a quarter, then a fall.
        ((5, 10, 20, 40, 90), "not seen"),  # It rises to the end.
        ((20.0, 20.1, 20.0, 20.1, 20.0), "too small to tell"),
    ],
)
def test_a_peak_and_a_fall_are_told_from_a_rise_and_from_noise(traces, verdict):
    one = curve("one", *traces)
    table = Table("mlp", 4, (one,), one)
    assert curvature.present(table).findings[0].verdict == verdict


def test_steps_are_spread_from_the_first_to_the_last():
    assert curvature.some_of(range(0, 301, 5), 4) == [0, 100, 200, 300]
    assert curvature.some_of([0, 3, 5], 12) == [0, 3, 5]
