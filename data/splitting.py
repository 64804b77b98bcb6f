"""Holding out test images from a set that came without any."""

import math

import numpy as np

# Where none is asked for.
_TEST_FRACTION = 0.2


def check_fraction(test_fraction: float | None, *, has_test: bool) -> None:
    """Check the share to hold out, before anything large is read.

    Args:
        test_fraction: the share; None where none is asked for.
        has_test: whether there are test images, so that nothing is held out.

    Raises:
        ValueError: if it is not between 0 and 1, or would be ignored.
    """
    if test_fraction is None:
        return
    if np.asarray(test_fraction).dtype.kind not in "iuf" or not 0.0 < test_fraction < 1.0:
        raise ValueError(f"`test_fraction` must be between 0 and 1, got {test_fraction!r}")
    if has_test:
        raise ValueError("`test_fraction` has no meaning for data that have test images; drop it")


def stratified_split(
    labels: np.ndarray, test_fraction: float | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split images into train and test, each class in the same proportion.

    Args:
        labels: int64 `[n]`.
        test_fraction: the share of the images to hold out, between 0 and 1, by default 0.2; the
            number is rounded up.
        seed: the same seed gives the same split.

    Returns:
        The indices of the train images and of the test images, both in ascending order.

    Raises:
        ValueError: if `test_fraction` is not between 0 and 1, `seed` is not a 32-bit number, or
            there are too few images for every class to be on both sides.
    """
    # Imported here: scikit-learn takes half a second, and most datasets come with a test set.
    from sklearn.model_selection import train_test_split

    check_fraction(test_fraction, has_test=False)
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` of the split must be between 0 and 2**32 - 1, got {seed}")
    classes, counts = np.unique(labels, return_counts=True)
    test_size = math.ceil((test_fraction or _TEST_FRACTION) * len(labels))
    if counts.min() < 2 or min(test_size, len(labels) - test_size) < len(classes):
        raise ValueError(
            f"{len(labels)} images of {len(classes)} classes (the rarest has {counts.min()}) are "
            f"too few to hold out {test_size} for testing: give test images, or another "
            "`test_fraction`"
        )
    train, test = train_test_split(
        np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=seed
    )
    return np.sort(train), np.sort(test)
