import json

import pytest

from stillhouse.analysis.train_result import CurvePoint, SeedResult, TrainResult


def run(seed, accuracy, diverged_at=None):
    curve = () if accuracy is None else (CurvePoint(10, 0.1, 1.0, accuracy),)
    return SeedResult(seed, 0.5, accuracy, diverged_at, 1.0, curve)


def test_the_spread_is_the_sample_standard_deviation_over_the_seeds():
    result = TrainResult((run(0, 0.5), run(1, 0.7), run(2, 0.6)), 100, 10, 50)
    assert (result.mean, result.std) == (pytest.approx(0.6), pytest.approx(0.1))
    assert TrainResult((run(0, 0.5),), 100, 10, 50).std == 0.0


def test_a_network_that_diverged_counts_for_nothing_but_is_told_of():
    result = TrainResult((run(0, 0.5), run(1, None, diverged_at=3)), 100, 10, 50)
    assert (result.mean, result.test_accuracies) == (0.5, (0.5,))
    found = json.loads(result.to_json())
    assert found["diverged_seeds"] == [1]
    assert found["runs"][1]["diverged_at"] == 3
    assert found["runs"][0]["curve"][-1]["test_accuracy"] == found["test_accuracy"] == 0.5
