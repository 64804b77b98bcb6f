import json

import numpy as np
import pytest

from stillhouse.data.card import FORMAT_VERSION, Card, DatasetInfo, software_versions

INFO = DatasetInfo("digits", "ab" * 32, ("zero", "one ☕"), (8, 8, 1), (0.0, 1.0))
CARD = Card(
    method="kip",
    kernel={"kind": "ntk", "architecture": {"layers": []}},
    config={"steps": 300, "learn_labels": True, "out": None},
    seed=3,
    dataset=INFO,
    scores={"test_accuracy": 0.95},
)


def test_a_card_comes_back_from_its_json():
    assert Card.from_json(CARD.to_json()) == CARD


def test_the_json_says_what_a_reader_needs():
    values = json.loads(CARD.to_json())
    assert values["format_version"] == FORMAT_VERSION
    assert values["label_convention"] == "one-hot minus 1/k"
    assert values["dataset"]["class_names"] == ["zero", "one ☕"]
    assert values["software"]["numpy"] == np.__version__


def test_the_software_is_recorded_without_importing_it():
    versions = software_versions()
    assert versions["python"].startswith("3.")
    assert {"jax", "numpy"} <= set(versions)


def test_a_newer_format_is_refused_whatever_else_it_holds():
    text = json.dumps({"format_version": FORMAT_VERSION + 1, "something": "new"})
    with pytest.raises(ValueError, match=rf"format {FORMAT_VERSION + 1}.*use a newer Stillhouse"):
        Card.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": "1"},
        {"format_version": 0},
        {"format_version": None},
        {"dataset": {"name": "digits"}},
        {"dataset": None},
        {"scores": {"accuracy": "high"}},
        {"unheard_of": 1},
        {"seed": 1.5},
    ],
)
def test_json_that_is_no_card_is_refused(change):
    values = {**json.loads(CARD.to_json()), **change}
    with pytest.raises(ValueError, match="not a card of a distilled set"):
        Card.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"a": 1}'])
def test_text_that_is_no_card_is_refused(text):
    with pytest.raises(ValueError, match="not a card of a distilled set"):
        Card.from_json(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"x": np.arange(3)}}, "writable as JSON"),
        ({"config": [1, 2]}, "`config` of a card must be a JSON object"),
        ({"scores": {"mse": float("nan")}}, "score 'mse' of a card must be a finite number"),
        ({"seed": "3"}, "`seed` of a card must be an integer, got '3'"),
        ({"dataset": {}}, "must be a DatasetInfo"),
    ],
)
def test_a_card_that_could_not_be_read_again_is_refused(change, message):
    fields = {"method": "kip", "kernel": {}, "config": {}, "seed": 0, "dataset": INFO, **change}
    with pytest.raises(ValueError, match=message):
        Card(**fields)


def test_a_dataset_info_checks_its_shape():
    with pytest.raises(ValueError, match=r"`image_shape` must be \(h, w, c\), got \(8, 8\)"):
        DatasetInfo("digits", "", ("a", "b"), (8, 8), (0, 1))


def test_what_a_terminal_would_obey_is_escaped_when_a_card_is_read():
    info = {"name": "\x1b[2Jdigits", "class_names": ["a\x07", "b"]}
    values = json.loads(CARD.to_json())
    values = {**values, "method": "\x1bkip", "config": {"dataset": "a\nb"}}
    card = Card.from_json(json.dumps({**values, "dataset": {**values["dataset"], **info}}))
    assert card.dataset.name == r"\x1b[2Jdigits"
    assert card.dataset.class_names == (r"a\x07", "b")
    assert (card.method, card.config["dataset"]) == (r"\x1bkip", r"a\nb")
