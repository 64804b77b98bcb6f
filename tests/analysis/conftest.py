import dataclasses

import numpy as np
import pytest

from stillhouse.data.sources import load_dataset
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.coresets import random_subset


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
    """Thirty digits to train on, and the test images, all standardised."""

    dataset: object
    transform: object
    images: np.ndarray
    classes: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@pytest.fixture(scope="session")
def digits():
    dataset = load_dataset("digits")
    transform = fit_transform("standardise", dataset.x_train)
    images, classes = random_subset(dataset.x_train, dataset.y_train, 30, num_classes=10, seed=0)
    x_test = transform.apply(dataset.x_test)
    return Digits(dataset, transform, transform.apply(images), classes, x_test, dataset.y_test)
