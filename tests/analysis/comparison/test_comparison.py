import csv
import io
import json

import numpy as np
import pytest

from stillhouse.analysis.comparison import (
    Comparison,
    Contender,
    KernelJudge,
    NetworkJudge,
    Row,
    Tests,
    comparison_page,
    fingerprint,
)
from stillhouse.analysis.report.krr import Accuracy
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import TrainingRecipe
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.workers.local import LocalComputer

RNG = np.random.default_rng(0)
RAW = RNG.integers(0, 255, (30, 4, 4, 1)).astype(np.uint8)
RAW[np.arange(30), np.arange(30) % 3] = 255
TESTS = Tests(RAW, np.arange(30) % 3, 3, "tests")
TRANSFORM = fit_transform("standardise", RAW)
SET = TRANSFORM.apply(RAW[:6]), centred_one_hot(np.arange(6) % 3, 3)
NETWORK = TrainingRecipe({"family": "mlp", "width": 16, "depth": 1}, learning_rate=0.1, steps=60)


@pytest.fixture
def judges():
    return (
        KernelJudge("KRR fc:1", KernelSpec(fc(1)), LocalComputer()),
        NetworkJudge("mlp", NETWORK),
    )


def contender(name, seconds=None, drawn=False):
    return Contender(name, 6, TRANSFORM, lambda seed: SET, drawn, 384, seconds, "runs/a", "dm")


def comparison(judges):
    found = {"KRR fc:1": Accuracy.of([0.9]), "mlp": Accuracy.of([0.7, 0.8])}
    rows = [
        Row(contender("learned <b>", 120.0), found),
        Row(contender("random real, 6"), {**found, "mlp": None}),
    ]
    return Comparison("spots", 30, [judge.name for judge in judges], rows)


def test_both_kinds_of_judges_read_test_images(judges):
    for judge in judges:
        assert judge.accuracy(SET, TRANSFORM, TESTS, 0) > 0.6


def test_a_judgement_is_known_by_all_that_decides_it(judges):
    kernel, network = judges
    first = fingerprint(network, SET, TRANSFORM, TESTS, 0)
    assert first == fingerprint(network, SET, TRANSFORM, TESTS, 0)
    moved = SET[0] + np.float32(1e-6), SET[1]
    others = [
        fingerprint(network, SET, TRANSFORM, TESTS, 1),
        fingerprint(network, moved, TRANSFORM, TESTS, 0),
        fingerprint(network, SET, fit_transform("none", RAW), TESTS, 0),
        fingerprint(network, SET, TRANSFORM, Tests(RAW, TESTS.classes, 3, "others"), 0),
        fingerprint(kernel, SET, TRANSFORM, TESTS, 0),
    ]
    assert len({first, *others}) == 6
    # A kernel has no seed.
    assert fingerprint(kernel, SET, TRANSFORM, TESTS, 7) == others[-1]


def test_the_table_is_for_people_and_for_programs(judges):
    table = comparison(judges)
    head, first, second = table.text().splitlines()
    assert head.split() == ["set", "images", "bytes", "seconds", "KRR", "fc:1", "mlp"]
    assert "120" in first and "90.0" in first and "75.0 +- 7.1" in first
    assert "not finite" in second and " - " in second
    plain = json.loads(json.dumps(table.plain()))
    assert plain["sets"][0]["accuracies"]["mlp"]["mean"] == pytest.approx(0.75)
    assert plain["sets"][1]["accuracies"]["mlp"] is None
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert rows[0]["mlp mean"] == "0.75" and rows[1]["mlp mean"] == ""
    assert rows[0]["seconds"] == "120.0" and rows[1]["seconds"] == ""


def test_the_page_holds_all_that_it_shows(judges):
    page = comparison_page(comparison(judges), "stillhouse compare runs/a")
    assert page.count("data:image/png;base64,") == 2
    assert "learned &lt;b&gt;" in page and "<b>" not in page
    assert "75.0 ± 7.1" in page and "stillhouse compare runs/a" in page
    assert "http" not in page.replace("http-equiv", "")
