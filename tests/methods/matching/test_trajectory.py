import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.matching.trajectory import Lesson, match_trajectory
from stillhouse.methods.unrolling.unroll import step_programs
from stillhouse.networks import NetworkSpec

TINY = NetworkSpec("convnet", width=3, depth=1, norm="instance", prepend=False)
RNG = np.random.default_rng(3)
IMAGES = RNG.standard_normal((4, 4, 4, 2)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]


def lessons(count, augmentation=None):
    rows = [np.arange(4), np.array([2, 0]), np.arange(4)]
    draws = [None if augmentation is None else augmentation.draw(1, step) for step in range(count)]
    return [Lesson(rows[step], draws[step]) for step in range(count)]


@pytest.fixture
def x64():
    """Compute in float64 for the length of a test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def student():
    programs = step_programs(TINY, "xent", (4, 4, 2), 3)
    (first, state), (expert, _) = (programs.network.init(seed) for seed in (0, 1))
    return programs, first, expert, state


def test_it_is_relative_to_the_way_that_the_expert_went(student):
    programs, first, expert, state = student
    stayed = match_trajectory(programs, IMAGES, LABELS, 0.0, first, expert, state, lessons(2))
    assert stayed.loss == pytest.approx(1.0, rel=1e-6)
    there = programs.update(first, state, 0.3, IMAGES, LABELS)
    arrived = match_trajectory(programs, IMAGES, LABELS, 0.3, first, there, state, lessons(1))
    assert arrived.loss == pytest.approx(0.0, abs=1e-9)


def test_its_derivatives_are_those_of_finite_differences_in_float64(x64, student):
    """Through three steps, of which one sees two of the images, all of them augmented."""
    programs, first, expert, state = student
    first, expert = (
        jax.tree_util.tree_map(lambda x: jnp.asarray(x, jnp.float64), params)
        for params in (first, expert)
    )
    shown = lessons(3, SiameseAugmentation(("color", "crop")))
    x, v = IMAGES.astype(np.float64), RNG.standard_normal(IMAGES.shape)
    labels = LABELS.astype(np.float64)

    def matched(images, rate):
        return match_trajectory(programs, images, labels, rate, first, expert, state, shown)

    found = matched(x, 0.2)
    assert found.images.dtype == np.float64
    slope = (matched(x + 1e-6 * v, 0.2).loss - matched(x - 1e-6 * v, 0.2).loss) / 2e-6
    assert np.sum(found.images * v) == pytest.approx(slope, rel=1e-5)
    slope = (matched(x, 0.2 + 1e-6).loss - matched(x, 0.2 - 1e-6).loss) / 2e-6
    assert found.rate == pytest.approx(slope, rel=1e-6)
