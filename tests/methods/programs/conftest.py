import dataclasses

import numpy as np
import pytest

from stillhouse.data.transforms import fit_transform
from stillhouse.networks import NetworkSpec


@dataclasses.dataclass(frozen=True, eq=False)
class Spots:
    """Nine images of three kinds, thirty others, and the transform of these."""

    network: NetworkSpec
    images: np.ndarray
    classes: np.ndarray
    asked: np.ndarray
    answers: np.ndarray
    transform: object

    @property
    def names(self):
        return tuple(self.transform.to_arrays())

    @property
    def arrays(self):
        return tuple(self.transform.to_arrays().values())

    @property
    def shared(self):
        return self.images, self.classes, self.asked, self.answers, *self.arrays


@pytest.fixture(scope="session")
def spots():
    rng = np.random.default_rng(0)

    def some(count):
        classes = np.arange(count) % 3
        images = rng.normal(0, 0.7, (count, 3, 3, 1)) + 2 * np.eye(9)[classes].reshape(-1, 3, 3, 1)
        return images.astype(np.float32), classes

    images, classes = some(9)
    asked, answers = some(30)
    network = NetworkSpec("mlp", width=6, depth=1, activation="swish")
    return Spots(network, images, classes, asked, answers, fit_transform("standardise", asked))
