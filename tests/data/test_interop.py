"""Each library's own dataset holds the set's numbers; without the library the error says so."""

import subprocess
import sys

import numpy as np
import pytest

from stillhouse.data.card import Card, DatasetInfo
from stillhouse.data.distilled import DistilledSet


@pytest.fixture
def distilled():
    rng = np.random.default_rng(0)
    info = DatasetInfo("pets", "0" * 64, ("cat", "dog", "eel"), (4, 5, 2), (0.0, 255.0))
    images = rng.normal(size=(6, 4, 5, 2)).astype(np.float32)
    labels = rng.normal(size=(6, 3)).astype(np.float32)
    return DistilledSet(images, labels, card=Card("kip", {}, {}, 0, info))


def test_torch_has_channels_first(distilled):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    dataset = distilled.to_torch()
    assert len(dataset) == 6
    image, label = dataset[2]
    assert image.shape == (2, 4, 5) and label.shape == (3,)
    np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), distilled.images[2])
    np.testing.assert_array_equal(label.numpy(), distilled.labels[2])
    image += 1  # A network may change what it is given: the set stays as it is.
    np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), distilled.images[2] + 1)


def test_tensorflow_has_channels_last(distilled, tmp_path):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    distilled.save(tmp_path / "set.npz")
    # In a process of its own: TensorFlow changes what warnings and processors there are.
    program = (
        "import sys, numpy as np, stillhouse as sh\n"
        "ds = sh.load(sys.argv[1])\n"
        "pairs = list(ds.to_tf().as_numpy_iterator())\n"
        "assert len(pairs) == 6\n"
        "np.testing.assert_array_equal([x for x, _ in pairs], ds.images)\n"
        "np.testing.assert_array_equal([y for _, y in pairs], ds.labels)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "set.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_hugging_face_has_names_for_the_classes(distilled):
    pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    dataset = distilled.to_hf().with_format("numpy")
    np.testing.assert_array_equal(dataset["image"], distilled.images)
    np.testing.assert_array_equal(dataset["label"], distilled.labels)
    assert dataset.features["class"].names == ["cat", "dog", "eel"]
    np.testing.assert_array_equal(dataset["class"], distilled.labels.argmax(1))


@pytest.mark.parametrize(
    ("method", "library"), [("to_torch", "torch"), ("to_tf", "tensorflow"), ("to_hf", "datasets")]
)
def test_a_library_that_is_missing_is_named(distilled, monkeypatch, method, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"pip install {library}"):
        getattr(distilled, method)()
