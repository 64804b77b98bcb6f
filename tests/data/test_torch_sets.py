import numpy as np
import pytest

from stillhouse.data import load_distilled
from stillhouse.data.distilled import channels_last


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def images(rng):
    return rng.random((6, 3, 8, 7), dtype=np.float32)


LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("layout", ["dict", "pair", "dc", "mtt"])
def test_the_layouts_of_others_are_read(torch, tmp_path, images, layout):
    x, y = torch.from_numpy(images), torch.from_numpy(LABELS)
    path = tmp_path / "images_best.pt"
    content = {
        "dict": {"images": x, "labels": y, "lr": 0.1},
        "pair": (x, y),
        "dc": {"data": [[x, y], [x * 0, y]], "accs_all_exps": {"ConvNet": [0.5]}},
        "mtt": x,
    }[layout]
    torch.save(content, path)
    if layout == "mtt":
        torch.save(y, tmp_path / "labels_best.pt")
    distilled = load_distilled(path)
    np.testing.assert_array_equal(distilled.images, images.transpose(0, 2, 3, 1))
    assert distilled.labels.argmax(axis=1).tolist() == LABELS.tolist()
    assert distilled.transform is None and distilled.card is None


def test_code_in_a_file_is_not_run(torch, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code was run",))

    torch.save({"images": Bomb(), "labels": 1}, tmp_path / "bomb.pt")
    with pytest.raises(ValueError, match="bomb.pt: not a file of tensors alone"):
        load_distilled(tmp_path / "bomb.pt")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="weights.pt: not a distilled set: expected tensors"):
        load_distilled(tmp_path / "weights.pt")


def test_without_torch_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    (tmp_path / "a.pt").write_bytes(b"x")
    with pytest.raises(ImportError, match="a.pt needs torch: pip install torch"):
        load_distilled(tmp_path / "a.pt")


def test_only_what_can_be_nothing_else_is_turned(images):
    assert channels_last(images).shape == (6, 8, 7, 3)
    assert channels_last(images.transpose(0, 2, 3, 1)).shape == (6, 8, 7, 3)
    assert channels_last(np.zeros((6, 3, 8, 3))).shape == (6, 3, 8, 3)
