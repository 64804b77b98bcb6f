import numpy as np
import pytest
from PIL import Image

from stillhouse.data.sources.image_folder import has_image_folder, load_image_folder


def draw(path, size=(6, 5), colour=None, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if colour is None else size
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))
    return pixels


@pytest.fixture
def pets(tmp_path):
    """Splits of cats, dogs and a bird each, in three formats, among files that are none of it."""
    root = tmp_path / "pets"
    for split, many in (("train", 4), ("test", 2)):
        for name, ending in (("dog", "png"), ("cat", "jpg"), ("bird", "webp")):
            for i in range(many):
                draw(
                    root / split / name / f"{i}.{ending}",
                    seed=100 * len(split) + 10 * ord(name[0]) + i,
                )
        (root / split / "cat" / ".hidden.png").write_bytes(b"x")
        (root / split / "cat" / "notes.txt").write_text("x")
    (root / ".git").mkdir()
    return root


def test_splits_and_classes_are_read_as_torchvision_reads_them(pets):
    pixels = draw(pets / "train" / "dog" / "0.png", seed=7)
    assert has_image_folder(pets)
    dataset = load_image_folder(pets)
    assert (dataset.name, dataset.class_names) == ("pets", ("bird", "cat", "dog"))
    assert dataset.x_train.shape == (12, 6, 5, 3) and dataset.x_train.dtype == np.uint8
    assert dataset.y_train.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert dataset.y_test.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(dataset.x_train[8], pixels)
    assert dataset.notes == ()


def test_one_level_is_split_by_the_fraction(pets):
    dataset = load_image_folder(pets / "train", test_fraction=0.25)
    assert (len(dataset.y_train), len(dataset.y_test)) == (9, 3)
    assert sorted(dataset.y_test.tolist()) == [0, 1, 2]


def test_folders_within_a_class_belong_to_it(pets):
    draw(pets / "train" / "cat" / "grey" / "9.png", seed=9)
    assert np.bincount(load_image_folder(pets).y_train).tolist() == [4, 5, 4]


@pytest.mark.parametrize("name", ["val", "validation", "VALID"])
def test_a_validation_folder_is_the_test_split_where_there_is_no_other(pets, name):
    (pets / "test").rename(pets / name)
    assert len(load_image_folder(pets).y_test) == 6


def test_the_splits_may_be_named(pets):
    (pets / "train").rename(pets / "train_small")
    (pets / "test").rename(pets / "train_other")
    dataset = load_image_folder(pets, split="train_small,train_other")
    assert (len(dataset.y_train), len(dataset.y_test)) == (12, 6)
    with pytest.raises(ValueError, match="names no folder big, found train_other, train_small"):
        load_image_folder(pets, split="big")


def test_mixed_sizes_are_refused_with_what_to_give_and_resized_if_it_is_given(pets):
    draw(pets / "train" / "dog" / "1.png", size=(9, 9))
    with pytest.raises(
        ValueError, match=r"train/dog/1.png is 9x9, .*bird/0.webp is 6x5;.*`image_size=\(6, 5\)`"
    ):
        load_image_folder(pets)
    dataset = load_image_folder(pets, image_size=(6, 5))
    assert dataset.image_shape == (6, 5, 3)
    assert dataset.notes == ("1 images of other sizes are resized to 6x5",)


def test_what_is_wrong_is_named(pets, tmp_path):
    (pets / "train" / "dog" / "2.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="pets: train/dog/2.png: 8 bytes that are no image file"):
        load_image_folder(pets)
    (pets / "test" / "fish").mkdir()
    with pytest.raises(ValueError, match="test/fish: a class without an image file"):
        load_image_folder(pets)
    draw(pets / "test" / "fish" / "0.png")
    with pytest.raises(ValueError, match="test/fish: a class that .*train has not; it has bird, c"):
        load_image_folder(pets)
    draw(tmp_path / "flat" / "train" / "0.png")
    with pytest.raises(ValueError, match="no folders of classes; .* as train/cat/1.png"):
        load_image_folder(tmp_path / "flat")


def test_a_shelf_of_datasets_is_no_image_folder(pets):
    assert not has_image_folder(pets.parent)
