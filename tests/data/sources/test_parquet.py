import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillhouse.data.sources.parquet import load_parquet

NAMES = ["cat", "dog", "frog"]


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (30, 5, 4, 3), dtype=np.uint8)


@pytest.fixture
def labels():
    return [i % 3 for i in range(30)]


@pytest.fixture
def folder(tmp_path, images, labels, write_parquet):
    """A folder with 20 train images and 10 test images."""
    folder = tmp_path / "pets"
    train, test = "train-00000-of-00001.parquet", "test-00000-of-00001.parquet"
    write_parquet(folder / train, images[:20], labels[:20], class_names=NAMES)
    write_parquet(folder / test, images[20:], labels[20:], class_names=NAMES)
    return folder


def test_both_splits_and_the_class_names_are_read(folder, images, labels):
    dataset = load_parquet(folder)
    assert (dataset.name, dataset.class_names) == ("pets", ("cat", "dog", "frog"))
    assert dataset.x_train.dtype == np.uint8
    np.testing.assert_array_equal(dataset.x_train, images[:20])
    np.testing.assert_array_equal(dataset.x_test, images[20:])
    np.testing.assert_array_equal(dataset.y_train, labels[:20])
    np.testing.assert_array_equal(dataset.y_test, labels[20:])


def test_shards_are_joined_in_order(tmp_path, images, labels, write_parquet):
    bounds = (0, 7, 19, 30)
    for i in range(3):
        part = slice(bounds[i], bounds[i + 1])
        write_parquet(tmp_path / f"train-{i:05d}-of-00003.parquet", images[part], labels[part])
    write_parquet(tmp_path / "test.parquet", images[:3], labels[:3])
    dataset = load_parquet(tmp_path)
    np.testing.assert_array_equal(dataset.x_train, images)
    np.testing.assert_array_equal(dataset.y_train, labels)


def test_a_missing_shard_is_named(tmp_path, images, labels, write_parquet):
    write_parquet(tmp_path / "train-00000-of-00002.parquet", images, labels)
    with pytest.raises(ValueError, match="train-00001-of-00002.parquet is missing"):
        load_parquet(tmp_path)


@pytest.mark.parametrize(
    "layout",
    [
        {"image_column": "img"},
        {"image_column": "img", "label_column": "fine_label"},
        {"label_column": "labels"},
        {"plain_bytes": True},
    ],
)
def test_the_usual_variants_are_read(tmp_path, images, labels, write_parquet, layout):
    write_parquet(tmp_path / "train.parquet", images[:20], labels[:20], class_names=NAMES, **layout)
    write_parquet(tmp_path / "test.parquet", images[20:], labels[20:], **layout)
    dataset = load_parquet(tmp_path)
    np.testing.assert_array_equal(dataset.x_train, images[:20])
    np.testing.assert_array_equal(dataset.y_train, labels[:20])
    assert dataset.class_names == ("cat", "dog", "frog")


def test_without_test_files_there_is_a_seeded_split(folder):
    next(folder.glob("test*")).unlink()
    dataset = load_parquet(folder, test_fraction=0.3, seed=3)
    assert (len(dataset.x_train), len(dataset.x_test)) == (14, 6)
    assert dataset.fingerprint() == load_parquet(folder, test_fraction=0.3, seed=3).fingerprint()


def test_a_validation_file_is_the_test_split_where_there_is_no_other(folder):
    test = next(folder.glob("test*"))
    expected = load_parquet(folder).fingerprint()
    test.rename(folder / "validation-00000-of-00001.parquet")
    assert load_parquet(folder).fingerprint() == expected


def test_files_with_other_names_are_one_split(tmp_path, images, labels, write_parquet):
    write_parquet(tmp_path / "0000.parquet", images[:15], labels[:15])
    write_parquet(tmp_path / "0001.parquet", images[15:], labels[15:])
    dataset = load_parquet(tmp_path, test_fraction=0.2)
    assert (len(dataset.x_train), len(dataset.x_test)) == (24, 6)


def test_test_files_alone_are_refused(folder):
    next(folder.glob("train*")).unlink()
    with pytest.raises(ValueError, match="no Parquet file whose name begins with `train`"):
        load_parquet(folder)


def test_a_colour_image_in_one_file_makes_all_colour(tmp_path, images, labels, write_parquet):
    grey = images[..., :1]
    write_parquet(tmp_path / "train-00000-of-00002.parquet", grey[:10], labels[:10])
    write_parquet(tmp_path / "train-00001-of-00002.parquet", images[10:20], labels[10:20])
    write_parquet(tmp_path / "test.parquet", grey[20:], labels[20:])
    dataset = load_parquet(tmp_path)
    np.testing.assert_array_equal(dataset.x_train[:10], np.repeat(grey[:10], 3, axis=3))
    np.testing.assert_array_equal(dataset.x_train[10:], images[10:20])
    np.testing.assert_array_equal(dataset.x_test, np.repeat(grey[20:], 3, axis=3))


def test_mixed_sizes_are_named(tmp_path, images, labels, write_parquet):
    train = tmp_path / "train-00000-of-00002.parquet"
    write_parquet(train, [*images[:5], images[5, :4]], labels[:6])
    write_parquet(tmp_path / "train-00001-of-00002.parquet", images[:, :4], labels)
    with pytest.raises(ValueError, match=f"{train.name}: .*row 5 is 4x4, row 0 is 5x4"):
        load_parquet(tmp_path)
    write_parquet(train, images, labels)
    with pytest.raises(
        ValueError, match="train-00001.* is 4x4, train-00000.* is 5x4; .*`image_size"
    ):
        load_parquet(tmp_path)
    write_parquet(tmp_path / "train-00001-of-00002.parquet", images, labels)
    write_parquet(tmp_path / "test.parquet", images[:, :4], labels)
    with pytest.raises(ValueError, match=r"test.parquet is 4x4, train-0.* is 5x4; .*=\(5, 4\)`"):
        load_parquet(tmp_path)


def test_a_bad_image_names_file_and_row(folder, images, labels, write_parquet):
    path = folder / "train-00000-of-00001.parquet"
    write_parquet(path, [*images[:9], b"no image"], labels[:10])
    with pytest.raises(ValueError, match=f"{path.name}: row 9: 8 bytes that are no image file"):
        load_parquet(folder)
    write_parquet(path, [*images[:9], None], labels[:10])
    with pytest.raises(ValueError, match=f"{path.name}: row 9 has no image bytes"):
        load_parquet(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (3, r"`label` must be classes 0 to 2: label 4 is 3"),
        (-1, r"`label` must be classes 0 to 2: label 4 is -1"),
        (None, r"row 4 has no label"),
        (0.5, r"`label` must be integers: label 4 is 0.5"),
    ],
)
def test_a_bad_label_names_file_and_row(folder, images, write_parquet, change, message):
    path = folder / "train-00000-of-00001.parquet"
    labels = [0, 1, 2, 0, change, 2]
    write_parquet(path, images[:6], labels, class_names=NAMES)
    with pytest.raises(ValueError, match=f"{path.name}: .*{message}"):
        load_parquet(folder)


def test_a_bad_row_behind_the_first_batch_is_named(tmp_path, write_parquet, encode):
    file = encode(np.zeros((2, 2, 1), np.uint8))
    labels = [i % 3 for i in range(5000)]
    labels[4500] = None
    write_parquet(tmp_path / "train.parquet", [file] * 5000, labels)
    with pytest.raises(ValueError, match=r"train.parquet: row 4500 has no label"):
        load_parquet(tmp_path)


def test_missing_columns_are_named(tmp_path, images, labels, write_parquet):
    path = tmp_path / "train.parquet"
    write_parquet(path, images, labels, image_column="picture")
    with pytest.raises(ValueError, match="no column `image` or `img`, found picture, label"):
        load_parquet(tmp_path)
    write_parquet(path, images, labels, label_column="class")
    with pytest.raises(ValueError, match="no column `label` .*, found image, class"):
        load_parquet(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"image": ["a.png"], "label": [0]},
            "`image` must hold image files, .* got the type string",
        ),
        ({"image": [{"path": "a.png"}], "label": [0]}, "`image` must hold image files"),
        (
            {"image": [b"x"], "label": [b"cat"]},
            "`label` must hold integers or texts, got the type binary",
        ),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, "has no rows"),
    ],
)
def test_columns_of_other_types_and_empty_files_are_named(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=f"train.parquet: .*{message}"):
        load_parquet(tmp_path)


@pytest.mark.parametrize("info", [b"", b"{}", b"[]", b'{"info": {"features": {"label": {}}}}'])
def test_metadata_of_other_programs_is_ignored(folder, info):
    for path in folder.iterdir():
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({b"huggingface": info}), path)
    assert load_parquet(folder).class_names == ("0", "1", "2")


def test_damage_is_reported_with_the_file(folder, damaged):
    path = folder / "train-00000-of-00001.parquet"
    reported = 0
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            load_parquet(folder)
        except ValueError as error:
            assert str(folder) in str(error)
            reported += 1
    assert reported > 50  # other bytes are paths and statistics, which nobody reads


def test_usps_is_read_as_published(real_data):
    dataset = load_parquet(real_data / "usps")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((7291, 16, 16, 1), (2007, 16, 16, 1))
    counts = [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    np.testing.assert_array_equal(np.bincount(dataset.y_train), counts)
    assert dataset.class_names == tuple("0123456789")
    scaled = dataset.x_train / 255.0
    np.testing.assert_allclose((scaled.mean(), scaled.std()), (0.2539, 0.3842), atol=5e-5)


def test_cifar_photographs_are_read_as_published(real_data):
    dataset = load_parquet(real_data / "cifar10_lossless_subset")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((3805, 32, 32, 3), (761, 32, 32, 3))
    assert (dataset.class_names[0], dataset.class_names[9]) == ("airplane", "truck")
    means = dataset.x_train.mean(axis=(0, 1, 2)) / 255.0
    np.testing.assert_allclose(means, (0.4932, 0.4840, 0.4492), atol=5e-5)


def test_other_columns_are_named(tmp_path, images, labels, write_parquet):
    names = np.array(NAMES)[labels]
    write_parquet(
        tmp_path / "train.parquet", images, names, image_column="photo", label_column="kind"
    )
    with pytest.raises(ValueError, match="found photo, kind; name it by `image_column`"):
        load_parquet(tmp_path)
    dataset = load_parquet(tmp_path, image_column="photo", label_column="kind", test_fraction=0.5)
    assert dataset.class_names == ("cat", "dog", "frog")
    with pytest.raises(ValueError, match="no column `colour`, found photo, kind"):
        load_parquet(tmp_path, image_column="colour")


def test_the_splits_may_be_named(tmp_path, images, labels, write_parquet):
    for name, part in (("train", slice(9)), ("extra", slice(9, 21)), ("validation", slice(21, 30))):
        write_parquet(tmp_path / f"{name}-00000-of-00001.parquet", images[part], labels[part])
    dataset = load_parquet(tmp_path, split="extra,validation")
    np.testing.assert_array_equal(dataset.x_train, images[9:21])
    np.testing.assert_array_equal(dataset.x_test, images[21:])
    assert len(load_parquet(tmp_path, split="extra").y_test) == 9
    with pytest.raises(ValueError, match="begins with `big`, found extra-.*name the train files"):
        load_parquet(tmp_path, split="big")
    with pytest.raises(ValueError, match="begins with `small`, found"):
        load_parquet(tmp_path, split="train,small")


def test_images_of_several_sizes_are_resized_if_asked_for(folder, images, write_parquet):
    path = folder / "test-00000-of-00001.parquet"
    write_parquet(path, images[:6, :3], [0, 1, 2] * 2, class_names=NAMES)
    dataset = load_parquet(folder, image_size=(5, 4))
    assert dataset.x_test.shape == (6, 5, 4, 3)
    assert dataset.notes == ("6 images of other sizes are resized to 5x4",)
