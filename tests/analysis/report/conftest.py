import base64
import html.parser
import io

import numpy as np
import pytest
from PIL import Image

from stillhouse.analysis.report import Contents, LeftOut
from stillhouse.data.card import Card, DatasetInfo
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.kernel import kernel

VOID = {"meta", "img", "br", "hr", "link", "input"}


class DirectComputer:
    """A `KernelComputer` of one backend, for what scores sets."""

    def __init__(self):
        self.elements = 0

    def gram(self, spec, x):
        return kernel(spec, backend="fused", threads=1).gram(x)

    def cross(self, spec, x, x_s):
        return kernel(spec, backend="fused", threads=1).block(x, x_s)


class Page(html.parser.HTMLParser):
    """What a page holds, read as HTML; its elements must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.images, self.ids, self.links, self.tags, self.addresses = [], [], [], [], []
        self._texts, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        assert len(values) == len(attributes), "an attribute comes twice"
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        if tag == "a":
            self.links.append(values["href"])
        self.addresses += [values[a] for a in ("src", "href", "srcset", "data") if a in values]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self._texts.append(data)

    def pictures(self):
        """Every image, decoded."""
        for image in self.images:
            kind, _, content = image["src"].partition(",")
            assert kind == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as picture:
                picture.load()
                assert picture.format == "PNG"
                yield picture.copy()


@pytest.fixture
def computer():
    return DirectComputer()


@pytest.fixture
def read_page():
    return Page


@pytest.fixture
def dataset():
    """Three kinds of bright spots on noise, in colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 120, (90, 6, 5, 3))
    images[np.arange(90), 1 + labels, 2] += 130
    images = images.astype(np.uint8)
    names = ("left", "middle", "right")
    return Dataset("spots", images[:60], labels[:60], images[60:], labels[60:], names)


@pytest.fixture
def distilled(dataset):
    """The first image of each kind, with a card."""
    transform = fit_transform("standardise", dataset.x_train)
    config = {"init": "real", "support_size": 3, "dataset": "spots.npz", "depth": None}
    card = Card("kip", {}, config, 0, dataset.info(), {"test_accuracy": 0.875, "test_mse": 0.0125})
    return DistilledSet(
        transform.apply(dataset.x_train[:3]), centred_one_hot(np.arange(3), 3), transform, card
    )


@pytest.fixture
def noise_set():
    """A set of any size, without meaning."""

    def make(images, classes, shape=(6, 5, 3), *, names=None, transform="standardise"):
        rng = np.random.default_rng(0)
        raw = rng.integers(0, 256, (max(images, 50), *shape)).astype(np.uint8)
        fitted = fit_transform(transform, raw)
        names = tuple(f"class {i}" for i in range(classes)) if names is None else names
        info = DatasetInfo("noise", "0" * 64, names, shape, (0.0, 255.0))
        labels = rng.normal(size=(images, classes)) / 10
        labels += centred_one_hot(np.arange(images) * classes // images, classes)
        card = Card("kip", {}, {}, 0, info)
        return DistilledSet(fitted.apply(raw[:images]), labels, fitted, card)

    return make


@pytest.fixture
def contents_of():
    """What a report says of a set of which nothing but its file is known."""

    def make(distilled, **changes):
        values = {
            "name": "a set",
            "distilled": distilled,
            "class_names": distilled.card.dataset.class_names if distilled.card else (),
            "pixel_range": (0.0, 255.0),
            "before": LeftOut("The start is not known."),
            "dataset": None,
            "metrics": LeftOut("There are no metrics.", "stillhouse report RUN_FOLDER"),
            "baselines_missing": "",
            "krr": LeftOut("There are no real images."),
            "krr_commands": {},
            "networks": LeftOut("No networks were trained."),
            "scores": (),
            "again": "stillhouse report set.npz",
        }
        return Contents(**{**values, **changes})

    return make
