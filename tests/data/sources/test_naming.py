import pathlib

import pytest

from stillhouse.data.sources.naming import naming, source_name


def test_the_path_comes_first_and_the_cause_is_kept(tmp_path):
    with pytest.raises(ValueError, match=r"^.*mine.npz: too short$") as caught:
        with naming(tmp_path / "mine.npz"):
            raise ValueError("too short")
    assert str(caught.value.__cause__) == "too short"


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError), naming("mine.npz"):
        raise KeyError("x")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/sets/cifar10", "cifar10"),
        ("/sets/cifar10/data", "cifar10"),
        ("/sets/cifar10/raw/images", "cifar10"),
        ("/sets/cifar10/train", "cifar10"),
        ("/data", "data"),
        ("/home/ann/data", "data"),
        ("/home/ann/pets/data", "pets"),
    ],
)
def test_a_dataset_is_called_after_what_tells_it_apart(monkeypatch, path, name):
    monkeypatch.setenv("HOME", "/home/ann")
    assert source_name(pathlib.Path(path)) == name
