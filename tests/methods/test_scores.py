import pytest

from stillhouse.methods.scores import mean_scores


def test_several_networks_have_a_mean_and_a_sample_deviation():
    found = [
        {"test_accuracy": 0.5, "other_accuracy": 0.2},
        {"test_accuracy": 0.7, "other_accuracy": 0.4},
    ]
    means = mean_scores(found)
    assert means == pytest.approx(
        {"test_accuracy": 0.6, "test_accuracy_deviation": 0.02**0.5, "other_accuracy": 0.3}
    )


def test_one_network_has_no_deviation():
    assert mean_scores([{"test_accuracy": 0.5}]) == {"test_accuracy": 0.5}
