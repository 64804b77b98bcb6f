import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from stillhouse.analysis.report import (
    Command,
    Kernel,
    LeftOut,
    Networks,
    SupportSet,
    krr_table,
    report_files,
    sample_test,
)
from stillhouse.analysis.report.krr import Accuracy
from stillhouse.data.distilled import DistilledSet
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec

HOSTILE = "<script>alert(1)</script>\"' onload=x $\\frac{a}$ {{ 7 * 6 }} & 日"


def page_of(files, stem="report"):
    return files[f"{stem}.html"].decode()


def checked(read_page, files):
    """The page, once every rule that holds for all pages has been seen to hold."""
    page = read_page(page_of(files))
    for picture in page.pictures():
        assert min(picture.size) > 0
    assert all(image["alt"].strip() for image in page.images)
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.links) <= {f"#{name}" for name in page.ids}
    outside = [a for a in page.addresses if not a.startswith(("data:image/png;base64,", "#"))]
    assert outside == []
    assert not {"script", "iframe", "object", "embed", "link"} & set(page.tags)
    assert re.search(r"url\(|@import|https?:", page_of(files)) is None
    assert page.tags.count("h1") == 1 and "main" in page.tags
    return page


@pytest.mark.parametrize(
    ("images", "classes", "shape"),
    [
        (10, 10, (6, 5, 3)),
        (2, 2, (8, 8, 1)),
        (30, 10, (6, 5, 3)),
        (500, 10, (6, 5, 1)),
        (7, 3, (4, 4, 2)),
    ],
)
def test_a_page_of_any_set_holds_all_that_it_shows(
    noise_set, contents_of, read_page, images, classes, shape
):
    distilled = noise_set(images, classes, shape)
    page = checked(read_page, report_files(contents_of(distilled), "report"))
    shown = [image for image in page.images if image["alt"].startswith("distilled image")]
    assert len(shown) == min(images, 100)
    assert f"{images} images of {shape[0]} x {shape[1]} x {shape[2]}" in page.text
    assert ("Shown are 100 of 500 images" in page.text) == (images == 500)
    for part in ("start is not known", "no metrics", "no real images", "No networks were trained"):
        assert part in page.text


def test_images_are_those_of_the_set_in_their_own_pixels(noise_set, contents_of, read_page):
    distilled = noise_set(4, 4, (6, 5, 3))
    page = checked(read_page, report_files(contents_of(distilled), "report"))
    found = [np.asarray(picture) for picture in page.pictures()][:4]
    expected = np.clip(distilled.original_images(), 0, 255)
    assert np.abs(np.array(found, np.float64) - expected).max() <= 0.5 + 1e-3


def test_before_and_after_stand_side_by_side(dataset, distilled, contents_of, read_page):
    before = distilled.transform.apply(dataset.x_train[6:9])
    files = report_files(contents_of(distilled, before=before, dataset=dataset), "report")
    page = checked(read_page, files)
    first, second, *_ = page.pictures()
    np.testing.assert_array_equal(np.asarray(first), dataset.x_train[6])
    np.testing.assert_array_equal(np.asarray(second), dataset.x_train[0])
    assert "before" in page.images[0]["alt"] and "after" in page.images[1]["alt"]


def test_labels_can_be_read(distilled, contents_of, read_page):
    page = checked(read_page, report_files(contents_of(distilled), "report"))
    assert "left +0.67" in page.text  # The bar, with its class and its value.
    assert "left +0.67, middle -0.33, right -0.33" in page.images[0]["alt"]
    assert "correlation" in page.text.lower() and "-0.50" in page.text  # Of fixed labels.


def test_what_was_measured_stands_on_the_page(dataset, distilled, contents_of, read_page, computer):
    own = Kernel("fc:1 NTK (own)", KernelSpec(fc(1)), is_own=True)
    sets = [
        SupportSet("distilled", distilled.images, distilled.labels),
        SupportSet("random images", distilled.images[::-1].copy(), distilled.labels),
    ]
    test = sample_test(dataset, distilled.transform, 9)
    table = krr_table(computer, [own], sets, test, 1e-6)
    networks = Networks(
        "Networks of one kind",
        {"distilled": Accuracy.of([0.5, 0.75]), "random images": None},
        9,
        30,
        "stillhouse train FILE",
    )
    metrics = [
        {"step": 0, "test_accuracy": 0.25},
        {"step": 1, "loss": 0.5, "accuracy": 0.5},
        {"step": 2, "loss": 0.25, "accuracy": 0.5, "test_accuracy": 0.5},
    ]
    contents = contents_of(
        distilled,
        dataset=dataset,
        metrics=metrics,
        krr=table,
        krr_commands={own.name: "stillhouse evaluate FILE"},
        networks=networks,
        scores=[Command("test accuracy", "87.50 %", "stillhouse evaluate FILE", "on all")],
        notes=["This is a note."],
    )
    files = report_files(contents, "report")
    page = checked(read_page, files)
    accuracy = table.rows[0].accuracies["distilled"]
    for text in (
        f"{accuracy.mean:.1%}".replace("%", " %"),
        "9 of 30 test images were used",
        "62.5 ± 17.7 %",
        "not finite",
        "87.50 % on all",
        "stillhouse evaluate FILE",
        "This is a note.",
        "stillhouse train FILE",
    ):
        assert text in page.text, text
    alts = " ".join(image["alt"] for image in page.images)
    assert "from 0.5 to 0.25" in alts  # The loss.
    assert "fc:1 NTK (own): distilled" in alts
    assert {"report-loss.png", "report-kernels.png", "report-networks.png"} <= files.keys()
    assert list(files)[-1] == "report.html"


def test_every_chart_of_the_page_lies_beside_it_too(distilled, dataset, contents_of, read_page):
    files = report_files(contents_of(distilled, dataset=dataset), "a page")
    assert all(name.startswith("a page") for name in files)
    embedded = {picture.tobytes() for picture in read_page(page_of(files, "a page")).pictures()}
    for name, content in files.items():
        if name.endswith(".png") and "after" not in name:
            with Image.open(io.BytesIO(content)) as picture:
                assert picture.tobytes() in embedded, name


@pytest.mark.parametrize("where", ["class", "dataset", "name", "setting", "command", "kernel"])
def test_what_a_file_says_is_shown_and_never_obeyed(noise_set, contents_of, read_page, where):
    names = (HOSTILE, "b", "c") if where == "class" else ("a", "b", "c")
    distilled = noise_set(3, 3, (6, 5, 3), names=names)
    card = distilled.card
    if where == "dataset":
        info = dataclasses.replace(card.dataset, name=HOSTILE)
        card = dataclasses.replace(card, dataset=info)
    if where == "setting":
        card = dataclasses.replace(card, config={HOSTILE: HOSTILE}, method=HOSTILE)
    if where == "kernel":
        card = dataclasses.replace(card, kernel={"kind": HOSTILE}, software={HOSTILE: HOSTILE})
    distilled = DistilledSet(distilled.images, distilled.labels, distilled.transform, card)
    changes = {"name": HOSTILE} if where == "name" else {}
    if where == "command":
        changes = {"again": HOSTILE, "metrics": LeftOut(HOSTILE, HOSTILE), "notes": [HOSTILE]}
    files = report_files(contents_of(distilled, **changes), "report")
    page = checked(read_page, files)
    assert "alert(1)" in page.text and "{{ 7 * 6 }}" in page.text


def test_class_names_in_any_script_are_shown(noise_set, contents_of, read_page):
    distilled = noise_set(3, 3, names=("飞机", "кошка", "🐸"))
    page = checked(read_page, report_files(contents_of(distilled), "report"))
    assert all(name in page.text for name in ("飞机", "кошка", "🐸"))


@pytest.mark.parametrize("labels", [np.full((4, 3), 0.25), np.zeros((4, 3)), -np.ones((4, 3))])
def test_labels_that_say_nothing_break_nothing(noise_set, contents_of, read_page, labels):
    distilled = noise_set(4, 3)
    same = DistilledSet(distilled.images, labels, distilled.transform, distilled.card)
    page = checked(read_page, report_files(contents_of(same), "report"))
    assert re.search(r"\bnan\b", page.text) is None


def test_a_set_without_colours_of_its_own_is_shown_on_its_own_scale(
    noise_set, contents_of, read_page
):
    known = noise_set(4, 4, (6, 5, 1))
    bare = DistilledSet(known.images, known.labels)
    contents = contents_of(bare, class_names=tuple("abcd"), pixel_range=None)
    page = checked(read_page, report_files(contents, "report"))
    first = np.asarray(next(page.pictures()))
    assert first.min() < 40 and first.max() > 215
    assert "transform not known" in page.text and "as they stand in the file" in page.text


def test_equal_contents_give_equal_bytes(distilled, dataset, contents_of):
    made = [report_files(contents_of(distilled, dataset=dataset), "report") for _ in range(2)]
    assert made[0] == made[1]
