import numpy as np
import pytest

from stillhouse.data import dataset_from, load_dataset
from stillhouse.data.sources.objects import is_dataset


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)


LABELS = np.arange(30) % 3


def test_pairs_of_arrays_and_our_own_datasets_are_taken(images):
    dataset = dataset_from((images[:24], LABELS[:24]), (images[24:], LABELS[24:]), name="mine")
    np.testing.assert_array_equal(dataset.x_test, images[24:])
    assert dataset.name == "mine"
    assert dataset_from(dataset) is dataset
    assert is_dataset(dataset) and not is_dataset(images)


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("digits", "`train` must be .* a pair of images and labels, got 'digits'"),
        (3, "`train` must be .* a pair of images and labels, got 3"),
        ([1, 2], r"`train\[0\]` must be images \[n, h, w, c\], got 1"),
        ((np.zeros((4, 2, 2)), [0, 1]), r"`train\[0\]` has 4 images, `train\[1\]` 2 labels"),
        ((np.zeros((4, 2, 2)), None), r"`train\[1\]` must be labels \[n\], got None"),
    ],
)
def test_anything_else_is_refused_under_the_name_that_it_was_given(train, says):
    with pytest.raises(ValueError, match=says):
        dataset_from(train)


def test_the_test_images_have_a_name_too(rng):
    x, y = rng.random((4, 2, 2)), [0, 1, 0, 1]
    for test, says in [
        ((x, y[:2]), r"`test\[0\]` has 4 images, `test\[1\]` 2 labels"),
        ((x[:, :1], y), r"`train\[0\]` holds 2x2x1, `test\[0\]` 1x2x1"),
        (3, "`test` must be"),
    ]:
        with pytest.raises(ValueError, match=says):
            dataset_from((x, y), test)


@pytest.mark.parametrize(
    "setting", [{"image_size": (3, 3)}, {"image_column": "a"}, {"label_column": "b"}]
)
def test_a_setting_without_a_meaning_for_arrays_is_refused(rng, setting):
    with pytest.raises(ValueError, match=f"`{next(iter(setting))}` has no meaning for arrays"):
        dataset_from((rng.random((4, 2, 2)), [0, 1, 0, 1]), **setting)


@pytest.mark.parametrize(
    "setting", [{"name": "a"}, {"class_names": ["a", "b"]}, {"test_fraction": 0.5}, {"test": 3}]
)
def test_a_dataset_has_its_settings_already(rng, setting):
    dataset = dataset_from((rng.random((10, 2, 2)), [0, 1] * 5))
    assert dataset_from(dataset) is dataset
    with pytest.raises(ValueError, match=f"`{next(iter(setting))}` has no meaning for a Dataset"):
        dataset_from(dataset, **setting)


def hugging_face(datasets, images, labels, **columns):
    from PIL import Image

    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["a", "b", "c"])
    )
    pictures = [Image.fromarray(image) for image in images]
    return datasets.Dataset.from_dict(
        {"image": pictures, "label": labels.tolist()}, features=features
    )


def test_a_hugging_face_dataset_gives_what_its_parquet_file_gives(images, tmp_path):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    train = hugging_face(datasets, images[:24], LABELS[:24])
    test = hugging_face(datasets, images[24:], LABELS[24:])
    dataset = dataset_from(datasets.DatasetDict(train=train, test=test))
    train.to_parquet(tmp_path / "train.parquet")
    test.to_parquet(tmp_path / "test.parquet")
    assert dataset.fingerprint() == load_dataset(tmp_path).fingerprint()
    assert dataset.class_names == ("a", "b", "c")
    renamed = train.rename_columns({"image": "photo", "label": "kind"})
    with pytest.raises(ValueError, match="no column `image` or `img`, found .*`image_column`"):
        dataset_from(renamed)
    dataset = dataset_from(renamed, image_column="photo", label_column="kind")
    assert (len(dataset.y_train), len(dataset.y_test)) == (19, 5)
    smaller = hugging_face(datasets, images[24:, :4], LABELS[24:])
    with pytest.raises(ValueError, match=r"`test` is 4x5, .*`train` is 6x5; .*=\(6, 5\)`"):
        dataset_from(train, smaller)
    assert dataset_from(train, smaller, image_size=(6, 5)).x_test.shape == (6, 6, 5, 3)
    grey = hugging_face(datasets, images[24:, ..., 0], LABELS[24:])
    assert dataset_from(train, grey).x_test.shape == (6, 6, 5, 3)
    with pytest.raises(ValueError, match="`train` is a stream; load the dataset whole"):
        dataset_from(train.to_iterable_dataset())


def test_columns_of_arrays_of_a_hugging_face_dataset(images):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    features = datasets.Features(
        img=datasets.Array3D((6, 5, 3), "uint8"), labels=datasets.Value("string")
    )
    names = np.array(["x", "y", "z"])[LABELS]
    source = datasets.Dataset.from_dict({"img": images, "labels": names}, features=features)
    dataset = dataset_from(source, test_fraction=0.5)
    assert dataset.x_train.dtype == np.uint8 and dataset.class_names == ("x", "y", "z")


def test_pytorch_datasets_are_read_item_by_item(images):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Pets(torch.utils.data.Dataset):
        classes = ["a", "b", "c"]

        def __len__(self):
            return 30

        def __getitem__(self, i):
            return torch.from_numpy(images[i].transpose(2, 0, 1)).float() / 255, int(LABELS[i])

    dataset = dataset_from(Pets())
    assert (dataset.name, dataset.class_names) == ("Pets", ("a", "b", "c"))
    assert dataset.x_train.shape == (24, 6, 5, 3) and dataset.x_train.dtype == np.float32
    tensors = torch.utils.data.TensorDataset(
        torch.from_numpy(images[..., 0]), torch.from_numpy(LABELS)
    )
    part = dataset_from(torch.utils.data.Subset(Pets(), range(15)))
    assert (part.name, part.class_names) == ("Pets", ("a", "b", "c"))
    pairs = [(images[0], 0), (images[1, :4], 1), (images[2], np.eye(3)[2])]

    class Listed(Pets):
        def __getitem__(self, i):
            return pairs[i]

    with pytest.raises(ValueError, match=r"item 1 of `train` is 4x5, .* give `image_size=\(6, 5\)"):
        dataset_from(Listed())
    pairs[1] = pairs[0]
    with pytest.raises(
        ValueError, match=r"item 2 of `train`: its label must be one class, .*\(3,\)"
    ):
        dataset_from(Listed())
    dataset = dataset_from(tensors, tensors)
    np.testing.assert_array_equal(dataset.x_train[..., 0], images[..., 0])
    assert dataset.x_train.dtype == np.uint8 and is_dataset(tensors)
