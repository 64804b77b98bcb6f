import gzip
import struct

import numpy as np
import pytest

from stillhouse.data.sources import dataset_from, load_dataset


@pytest.fixture
def shelf(tmp_path, rng, write_parquet):
    """A folder with one dataset of each format."""
    images = rng.integers(0, 256, (20, 4, 4), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 2
    write_parquet(tmp_path / "flowers" / "train.parquet", images[..., None], labels.tolist())
    (tmp_path / "numbers").mkdir()
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        path = tmp_path / "numbers" / f"train-{kind}-ubyte.gz"
        path.write_bytes(gzip.compress(header + array.tobytes()))
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_every_format_gives_the_same_dataset(shelf):
    datasets = [load_dataset(str(shelf / name)) for name in ("flowers", "numbers", "mine.npz")]
    assert [dataset.name for dataset in datasets] == ["flowers", "numbers", "mine"]
    assert len({dataset.fingerprint() for dataset in datasets}) == 1


def test_paths_are_relative_or_at_home_too(shelf, monkeypatch):
    monkeypatch.chdir(shelf)
    monkeypatch.setenv("HOME", str(shelf))
    expected = load_dataset(shelf / "flowers").fingerprint()
    for source in ("flowers", "./flowers/", "~/flowers"):
        assert load_dataset(source).fingerprint() == expected


def test_split_options_reach_the_source(shelf):
    for source in ("digits", shelf / "flowers", shelf / "numbers", shelf / "mine.npz"):
        one = load_dataset(source, test_fraction=0.5, seed=0)
        other = load_dataset(source, test_fraction=0.5, seed=1)
        assert abs(len(one.x_train) - len(one.x_test)) <= 1
        assert one.fingerprint() != other.fingerprint()


def test_an_unknown_name_comes_with_the_nearest_known_one(shelf, monkeypatch):
    monkeypatch.chdir(shelf)
    with pytest.raises(ValueError, match=r"unknown dataset 'digit' \(did you mean digits\?\)"):
        load_dataset("digit")
    with pytest.raises(ValueError, match=r"unknown dataset 'flower' \(did you mean .*flowers\?\)"):
        load_dataset("flower")
    with pytest.raises(ValueError, match=r"unknown dataset 'svhn', expected digits, or the path"):
        load_dataset("svhn")
    with pytest.raises(ValueError, match="`source` must be a path, got ''"):
        load_dataset("")


def test_a_missing_path_comes_with_its_nearest_neighbour(shelf):
    with pytest.raises(FileNotFoundError, match=r"no such .*flwers \(did you mean .*flowers\?\)"):
        load_dataset(str(shelf / "flwers"))
    with pytest.raises(FileNotFoundError, match=r"minx.npz \(did you mean .*mine.npz\?\)"):
        load_dataset(str(shelf / "minx.npz"))
    with pytest.raises(FileNotFoundError, match=r"nowhere/at/all$"):
        load_dataset("nowhere/at/all")


def test_a_folder_without_a_dataset_is_named(shelf):
    with pytest.raises(ValueError, match="empty: no dataset in this folder, expected a folder of"):
        load_dataset(str(shelf / "empty"))


def test_the_folder_above_the_datasets_leads_to_one(shelf):
    with pytest.raises(
        ValueError, match=r"several datasets in this folder; name one of .*flowers, .*numbers"
    ):
        load_dataset(str(shelf))


def test_one_file_of_a_folder_leads_to_the_folder(shelf):
    with pytest.raises(ValueError, match="give the folder that holds the files, .*flowers"):
        load_dataset(str(shelf / "flowers" / "train.parquet"))


def test_a_file_of_another_kind_is_named(shelf):
    (shelf / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes.txt: not a dataset, expected a folder of Parquet"):
        load_dataset(str(shelf / "notes.txt"))


def test_a_root_of_the_hub_is_named_after_itself(tmp_path, rng, write_parquet):
    images = rng.integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
    write_parquet(tmp_path / "pets" / "data" / "train-00000-of-00001.parquet", images, [0, 1] * 5)
    (tmp_path / "pets" / ".git").mkdir()
    for path in (tmp_path / "pets", tmp_path / "pets" / "data"):
        assert load_dataset(path).name == "pets"


def test_an_option_that_means_nothing_here_is_refused(tmp_path, rng):
    np.savez(tmp_path / "a.npz", images=rng.random((10, 3, 3)), labels=np.arange(10) % 2)
    with pytest.raises(ValueError, match="`image_size` has no meaning for a .npz file"):
        load_dataset(tmp_path / "a.npz", image_size=(3, 3))
    with pytest.raises(ValueError, match="`split` has no meaning for digits"):
        load_dataset("digits", split="train")


def test_a_fraction_beside_test_images_is_refused(tmp_path, rng, write_parquet, encode):
    images, labels = rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), [0, 1] * 4
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "a.npz", **arrays)
    for split in ("train", "test"):
        write_parquet(tmp_path / "parquet" / f"{split}.parquet", images, labels)
        for label in labels[:2]:
            path = tmp_path / "images" / split / str(label) / "0.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(encode(images[label]))
    rows = images.reshape(8, -1, 3).transpose(0, 2, 1).reshape(8, -1)
    records = np.insert(rows, 0, labels, axis=1).astype(np.uint8).tobytes()
    (tmp_path / "cifar").mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (tmp_path / "cifar" / f"{name}.bin").write_bytes(records)
    for name in ("a.npz", "parquet", "images", "cifar"):
        assert len(load_dataset(tmp_path / name).x_train)
        with pytest.raises(ValueError, match=f"{name}.*: `test_fraction` has no meaning for"):
            load_dataset(tmp_path / name, test_fraction=0.3)


def test_every_list_of_layouts_has_those_of_medmnist_and_of_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", "nothing", tmp_path / "a.txt"):
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(ValueError, match="CLASS/.*CIFAR.*`train_images` .*MedMNIST"):
            load_dataset(source)
    np.savez(tmp_path / "w.npz", w=np.zeros(3))
    with pytest.raises(ValueError, match="`train_images`, `train_labels`, `test_images`"):
        load_dataset(tmp_path / "w.npz")


@pytest.mark.parametrize("size", [8, "8x8", (8,), (8, 0), (8.0, 8), (True, 8), (10**6, 10**6)])
def test_a_size_that_is_no_height_and_width_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match="`image_size` must be .*, got"):
        load_dataset(tmp_path, image_size=size)
    with pytest.raises(ValueError, match="`image_size` must be .*, got"):
        dataset_from((np.zeros((4, 2, 2)), [0, 1, 0, 1]), image_size=size)
