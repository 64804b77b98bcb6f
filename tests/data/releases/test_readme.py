import dataclasses
import re

import pytest
import yaml

from stillhouse.data.distilled import load_distilled
from stillhouse.data.releases.readme import readme


@pytest.fixture
def text(make_set):
    def make(change=None, **options):
        distilled = load_distilled(make_set(2, transform="standardise"))
        if change:
            distilled = dataclasses.replace(
                distilled, card=dataclasses.replace(distilled.card, **change)
            )
        options = {"license": "unknown", "files": ("a.npz",)} | options
        return readme(distilled, "a", **options)

    return make


def front_matter(text):
    _, matter, body = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(matter), body


def test_the_front_matter_is_what_the_hub_reads(text):
    matter, _ = front_matter(text(license="cc-by-4.0"))
    assert matter["license"] == "cc-by-4.0"
    assert matter["size_categories"] == ["n<1K"]
    assert matter["task_categories"] == ["image-classification"]
    assert matter["tags"] == ["dataset-distillation", "kip", "stillhouse"]
    assert matter["pretty_name"] == "spots, distilled to 6 images"
    assert matter["dataset_info"]["splits"][0]["num_examples"] == 6
    images, labels = matter["dataset_info"]["features"]
    assert images["dtype"]["array3_d"] == {"shape": [5, 4, 1], "dtype": "float32"}
    assert labels == {"name": "labels", "sequence": "float32"}


def test_the_scores_stand_beside_the_command_that_gives_them(text):
    _, body = front_matter(text())
    assert "stillhouse evaluate a.npz --dataset=path/to/spots\n" in body
    assert "| test accuracy | 0.9020 |" in body and "| 0.01230 |" in body
    # Where the publisher has the data is nobody's business.
    assert "/somewhere" not in body


def test_only_scores_that_the_command_gives_are_told(text):
    scores = {"train_accuracy": 0.99, "published_test_accuracy": 0.63}
    _, body = front_matter(text({"scores": scores}))
    assert "0.99" not in body
    assert "| test accuracy, as its authors published it | 0.6300 |" in body
    _, body = front_matter(text({"scores": {}}))
    assert "stillhouse evaluate a.npz" in body and "score" not in body.split("```")[2]


def test_a_dataset_that_everybody_has_is_named(text):
    _, body = front_matter(text({"config": {"dataset": "digits"}}))
    assert "--dataset=digits\n" in body and "your copy" not in body


def test_names_of_any_kind_leave_the_card_whole(text, make_set):
    distilled = load_distilled(make_set())
    info = dataclasses.replace(distilled.card.dataset, name="a: |---ü")
    matter, body = front_matter(text({"dataset": info}))
    assert matter["pretty_name"] == "a: |---ü, distilled to 6 images"
    assert "--dataset=path/to/a_---_\n" in body


@pytest.mark.parametrize("license", ["", "Apache 2.0", "mit\ntags: x"])
def test_a_license_is_a_name(text, license):
    with pytest.raises(ValueError, match="a license is a name"):
        text(license=license)
