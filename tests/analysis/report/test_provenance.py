import dataclasses
import json

import numpy as np

from stillhouse.analysis.report.provenance import provenance
from stillhouse.data.distilled import DistilledSet
from stillhouse.kernels.architecture import convnet
from stillhouse.kernels.spec import KernelSpec


def lines(distilled):
    return {name: value for part in provenance(distilled).values() for name, value in part}


def test_all_of_a_card_is_told(distilled):
    spec = KernelSpec(convnet(1), "nngp")
    card = dataclasses.replace(distilled.card, kernel=json.loads(spec.to_json()))
    found = lines(dataclasses.replace(distilled, card=card))
    assert found["kernel"].startswith("NNGP of Conv 3x3 (W 1.414, b 0.1), ReLU, Conv 3x3")
    assert found["kernel"].endswith("AvgPool 2x2, Flatten, Dense (W 1.414, b 0.1)")
    assert found["fingerprint (SHA-256)"] == card.dataset.fingerprint
    assert found["classes"] == "left, middle, right" and found["transform"] == "standardise"
    for name, value in card.config.items():
        assert found[name] == ("not set" if value is None else str(value))
    for name, version in card.software.items():
        assert found[name] == version


def test_a_kernel_that_is_not_known_here_is_told_as_it_is(distilled):
    card = dataclasses.replace(distilled.card, kernel={"kind": "rbf"})
    assert lines(dataclasses.replace(distilled, card=card))["kernel"] == '{"kind": "rbf"}'


def test_without_a_card_the_arrays_are_told():
    found = provenance(DistilledSet(np.zeros((4, 6, 5, 3)), np.eye(4)))
    assert dict(found["Arrays"]) == {
        "images": "4 of 6 x 5 x 3, float32",
        "labels": "4 x 4, float32",
        "transform": "not known",
    }
    assert list(found) == ["Arrays"]
