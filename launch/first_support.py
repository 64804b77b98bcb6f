"""The images and labels from which a run starts."""

from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import Transform
from stillhouse.methods.algorithm import Support
from stillhouse.methods.coresets import kmeans_centres, noise_images, random_subset


def first_support(
    init: str, size: int, dataset: Dataset, transform: Transform, seed: int
) -> Support:
    """Return the images and labels from which a run starts, in the kernel's space.

    Args:
        init: `real`, `noise` or `kmeans`.
        size: the number of images, a multiple of the classes.
        dataset: what is distilled.
        transform: fitted to it.
        seed: of the run.

    Returns:
        Images float32 `[s, h, w, c]` and centred labels float32 `[s, k]`.

    Raises:
        ValueError: if `size` is no multiple of the classes, or a class has too few images.
    """
    classes = dataset.num_classes
    if init == "noise":
        images, labels = noise_images(dataset.image_shape, size, num_classes=classes, seed=seed)
    else:
        choose = kmeans_centres if init == "kmeans" else random_subset
        x, y = dataset.x_train, dataset.y_train
        raw, labels = choose(x, y, size, num_classes=classes, seed=seed)
        images = transform.apply(raw)
    return images, centred_one_hot(labels, classes)
