"""The digits that ship with scikit-learn: always there, and small."""

import numpy as np

from stillhouse.data.dataset import Dataset, dataset_from_arrays


def load_digits(*, test_fraction: float | None = None, seed: int = 0) -> Dataset:
    """Return 1797 handwritten digits of 8x8x1 pixels, float32 from 0 to 1.

    They come without a test set: with the default `test_fraction`, 1437 are for training and 360
    for testing.

    Args:
        test_fraction: the share held out for testing, the same for each class.
        seed: the seed of that split.

    References:
        Alpaydin, Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning
        Repository 1998, https://doi.org/10.24432/C50P49
    """
    # Imported here: scikit-learn takes half a second, and no other source needs it.
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    # The file counts ink in 17 levels, 0 to 16; sixteenths are exact in float32.
    images = (images.reshape(-1, 8, 8) / 16.0).astype(np.float32)
    return dataset_from_arrays(
        images, labels, name="digits", test_fraction=test_fraction, seed=seed
    )
