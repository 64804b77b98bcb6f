import base64
import dataclasses
import io
import json

import jax
import numpy as np
import optax
import pytest
from PIL import Image
from scipy import stats

from stillhouse.analysis.studies import influence, semantics
from stillhouse.data.records import from_plain, to_plain
from stillhouse.methods.programs import InfluenceFunction, SetTraining
from stillhouse.methods.tasks import Task

STEPS, RATE = 40, 0.05


@pytest.fixture(scope="module")
def sized(materials):
    sizes = dataclasses.replace(
        materials.sizes, steps=STEPS, learning_rate=RATE, influence_functions=True
    )
    return dataclasses.replace(materials, sizes=sizes)


@pytest.fixture(scope="module")
def table(sized):
    return influence.compute(sized)


def losses_after(pool, images, classes, tests, answers, seed):
    """Training written out, by optax on the library's network alone."""
    network, apply = pool.network, pool.transform.apply
    x, asked = apply(images), apply(tests)
    params, state = network.init(seed)

    def each(params, x, y):
        outputs, _ = network.apply(params, state, x, training=True)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y)

    rule = optax.sgd(RATE, momentum=0.9)
    moments, gradient = rule.init(params), jax.jit(jax.grad(lambda p: each(p, x, classes).mean()))
    for _ in range(STEPS):
        updates, moments = rule.update(gradient(params), moments)
        params = optax.apply_updates(params, updates)
    return np.asarray(each(params, asked, answers), np.float64)


def test_it_is_what_training_again_by_another_path_finds(table, sized, pool):
    one, found = sized.sets[0], table.sets[0]
    kept = np.arange(len(one.images)) != 2
    whole, without = (
        losses_after(pool, one.images[rows], one.classes[rows], *sized.tests, sized.seed)
        for rows in (slice(None), kept)
    )
    image = found.images[2]
    np.testing.assert_allclose(image.changes, np.sort(without - whole)[::-1][:9], atol=1e-4)
    answers = sized.tests[1]
    own = np.mean([answers[row] == image.label for row in image.most])
    assert found.own[2] == pytest.approx(own)
    # Most of what an image of a class influences most is of that class.
    assert np.mean(found.own) > 0.7 > table.base
    assert influence.present(table).findings[0].verdict == "seen"


def test_the_agreement_is_that_of_both_ways_to_know_an_influence(table, sized, pool):
    # How well they agree on networks that are trained further: see the program's own tests.
    training = SetTraining(pool.info.network, 3, STEPS, RATE)
    arrays = pool.transform.to_arrays()
    program = InfluenceFunction(training, 0.01, 50, pool.transform.kind, tuple(arrays))
    one, found = sized.sets[1], table.sets[1]
    shared = (one.images, one.classes, *sized.tests, *arrays.values())
    own = np.array([sized.seed], np.int64), np.array([7], np.int64)
    ((changes, _),) = sized.runner.results([Task(program, shared, own)])
    again = influence.changes_of(sized)[1][7]
    assert found.images[7].agreement == pytest.approx(
        stats.spearmanr(changes[0], again).statistic, abs=0.01
    )
    assert found.damping >= 0.01 and all(image.agreement is not None for image in found.images)
    assert influence.rank_correlation(np.arange(5), np.arange(5) ** 3) == pytest.approx(1)
    assert influence.rank_correlation(np.arange(5), np.ones(5)) is None


def test_the_table_is_json_and_the_page_shows_each_image(table, sized):
    again = from_plain(influence.Table, json.loads(json.dumps(to_plain(table))))
    assert again == table
    section = influence.present(again)
    assert [row[0] for row in section.rows] == ["plain", "glaring"]
    assert all(len(row) == len(section.head) for row in section.rows)
    assert len(section.charts) == 3 and table.sets[0].shown == 12
    picture = Image.open(io.BytesIO(base64.b64decode(table.sets[0].picture)))
    assert picture.height == 6 * 8 - 2  # Six rows of two images, six pixels high.


def test_networks_are_trained_once_for_both_studies(table, sized):
    tasks = []

    class Counting:
        def results(self, asked):
            tasks.extend(asked)
            return sized.runner.results(asked)

    found = semantics.compute(dataclasses.replace(sized, runner=Counting()))
    assert not tasks
    for one, other in zip(found.sets, table.sets, strict=True):
        counts = np.bincount([sized.tests[1][row] for row in other.images[0].most], minlength=3)
        assert dict(one.images[0].classes) == {c: n for c, n in enumerate(counts.tolist()) if n}


def test_semantics_say_what_is_alike(sized, table):
    found = semantics.compute(sized)
    again = from_plain(semantics.Table, json.loads(json.dumps(to_plain(found))))
    assert again == found
    section = semantics.present(again)
    assert found.attributes == ("brightness", "contrast", "edges", "background")
    assert len(section.rows) == 24 and all(len(row) == len(section.head) for row in section.rows)
    one = found.sets[0]
    assert one.purity > one.purity_chance + 0.2 and one.purity_p < 0.01
    assert section.findings[0].verdict == "seen"

    def told(spread, chance):
        alike = [dataclasses.replace(a, spread=spread, p_value=chance) for a in one.alike]
        changed = dataclasses.replace(one, alike=tuple(alike))
        return semantics.present(dataclasses.replace(found, sets=(changed,))).findings[1]

    assert told(0.01, 0.001).verdict == "seen" and "brightness" in told(0.01, 0.001).sentence
    assert told(0.4, 0.5).verdict == "too small to tell" and "plain none" in told(0.4, 0.5).sentence
    assert told(3.0, 1.0).verdict == "not seen"
    assert told(0.0, 1.0).verdict == "too small to tell"  # An attribute that never varies.
