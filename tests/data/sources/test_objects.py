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


def test_anything_else_is_refused_by_its_type():
    with pytest.raises(ValueError, match="the train data must be .* a pair .*, got str"):
        dataset_from("digits")


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
    dataset = dataset_from(tensors, tensors)
    np.testing.assert_array_equal(dataset.x_train[..., 0], images[..., 0])
    assert dataset.x_train.dtype == np.uint8 and is_dataset(tensors)
