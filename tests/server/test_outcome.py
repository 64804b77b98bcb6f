import json

import numpy as np

from stillhouse.data.card import Card
from stillhouse.data.distilled import load_distilled
from stillhouse.server.outcome import finish
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule


def test_a_run_leaves_a_set_that_is_whole_and_a_result_that_is_its_scores(workshop, tmp_path):
    outcome = workshop.distil(tmp_path, workshop.kip(), Schedule(5))
    card = Card("kip", {"kind": "ntk"}, {"steps": 5}, 0, workshop.dataset.info())
    folder = RunFolder(tmp_path)
    finish(folder, outcome, transform=workshop.transform, card=card)

    distilled = load_distilled(folder.distilled)
    assert distilled.images.tobytes() == outcome.images.tobytes()
    assert distilled.labels.tobytes() == outcome.labels.tobytes()
    raw = workshop.transform.invert(outcome.images)
    np.testing.assert_array_equal(distilled.original_images(), raw)
    result = json.loads(folder.result.read_text())
    assert result["test_accuracy"] == outcome.scores["test_accuracy"]
    assert result["test_mse"] == outcome.scores["test_mse"]
    assert result["train_accuracy"] == outcome.scores["train_accuracy"]
    assert (result["steps"], result["support_size"]) == (5, 6)
    assert result["kernel_elements"] == outcome.work["kernel elements"]
    assert distilled.card.scores["test_accuracy"] == result["test_accuracy"]
    assert folder.read_result() == result
