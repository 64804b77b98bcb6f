import json

import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.analysis.studies import recognition
from stillhouse.data.records import from_plain, to_plain


@pytest.fixture(scope="module")
def table(materials):
    return recognition.compute(materials)


def by_a_plain_loop(pool, images, classes):
    """What the networks say, an image after another and without the library's prediction."""
    arrays = pool.transform.to_arrays()
    found = []
    for index in range(len(pool)):
        params, state = pool.network.unpack(pool.weights(index))
        right = 0
        for image, number in zip(images, classes, strict=True):
            seen = jnp.asarray(((image[None] - arrays["mean"]) / arrays["std"]).astype(np.float32))
            outputs, _ = pool.network.apply(params, state, seen, training=False)
            right += int(np.argmax(outputs[0]) == number)
        found.append(right / len(images))
    return found


def test_it_is_what_a_plain_loop_finds(table, materials, pool):
    for one, found in zip(materials.sets, table.sets, strict=True):
        (judged,) = found.judged
        assert (found.name, found.images, judged.judge) == (one.name, 12, "mlp")
        assert judged.accuracies == pytest.approx(by_a_plain_loop(pool, one.images, one.classes))
    tests, classes = materials.tests
    assert table.real.judged[0].accuracies == pytest.approx(by_a_plain_loop(pool, tests, classes))
    assert len(tests) == 60 and np.bincount(classes).tolist() == [20, 20, 20]


def test_the_table_is_json_and_the_page_says_what_is_seen(table):
    again = from_plain(recognition.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table
    section = recognition.present(again)
    (finding,) = section.findings
    assert finding.verdict == "seen" and "seen in 2 of 2 sets" in finding.sentence
    assert " to " in finding.sentence.partition(" of the distilled images")[0]
    assert [row[0] for row in section.rows] == ["plain", "glaring", "real test images"]
    assert all(len(row) == len(section.head) for row in section.rows)


def test_images_by_chance_are_too_small_to_tell():
    judged = (recognition.Judged("mlp", (1 / 3,)),)
    poor = recognition.Recognised("poor", 12, 4, judged)
    table = recognition.Table(3, (("mlp", "mlp"),), (poor,), poor)
    (finding,) = recognition.present(table).findings
    assert finding.verdict == "too small to tell"
    assert finding.sentence.startswith("The networks answer 33.3 % (poor) of the distilled images")
    wrong = recognition.Recognised("wrong", 60, 1, judged)
    table = recognition.Table(3, (("mlp", "mlp"),), (wrong,), poor)
    assert recognition.present(table).findings[0].verdict == "not seen"
