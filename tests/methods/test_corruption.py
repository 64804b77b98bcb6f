import numpy as np
import optax
import pytest

from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.methods import corruption
from stillhouse.methods.learned import begin_learning
from stillhouse.methods.method import Problem
from stillhouse.methods.programs import Context
from stillhouse.methods.registry import METHODS, method_for
from stillhouse.workers.local import LocalRunner

SHAPE = (6, 6, 6, 1)
NETWORK = {"network": "mlp", "width": 4, "depth": 1}
# One of each kind: the other matching methods begin and update as dm does, and rfad has its tests.
SETTINGS = {
    "kip": {"architecture": "fc", "target_batch": 30},
    "label_solve": {"architecture": "fc", "target_batch": 30},
    "dd": {"network": "mlp", "width": 4, "distill_steps": 1, "target_batch": 30},
    "dm": {**NETWORK, "target_batch": 30, "augment": (), "recipe_steps": 1},
    "frepo": {**NETWORK, "width": 8, "target_batch": 30, "optimiser": "lamb"},
}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    images = rng.integers(0, 120, (60, 6, 6, 1))
    images[np.arange(60), 1 + classes, 2] += 130
    dataset = dataset_from_arrays(images.astype(np.uint8), classes, name="spots")
    transform = fit_transform("standardise", dataset.x_train)
    start = rng.standard_normal(SHAPE).astype(np.float32)
    labels = centred_one_hot(np.repeat(np.arange(3), 2), 3)
    targets = TargetBatches(dataset, transform, 30, 5)
    runner = LocalRunner(Context("xla", 1))
    return Problem(
        dataset, transform, targets, targets, 5, lambda: (start, labels), runner,
        lambda: False, 3,
    )  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_noise_stays_noise_and_the_rest_is_learned(problem, name):
    clean, method = (
        method_for(name, **SETTINGS[name], **share).algorithm(problem)
        for share in ({}, {"corruption": 0.5})
    )
    state = method.begin()
    (before, _), (real, _) = method.support(state), clean.support(clean.begin())
    still = corruption.Corruption(0.5, problem.seed).mask(SHAPE)
    assert 0.35 < still.mean() < 0.65
    assert (before[still] != real[still]).all()
    np.testing.assert_array_equal(before[~still], real[~still])
    for step in (1, 2):
        state, _ = method.advance(state, step)
    after, _ = method.support(state)
    np.testing.assert_array_equal(after[still], before[still])
    if name != "label_solve":  # It learns no image.
        assert (after[~still] != before[~still]).mean() > 0.9
    read, _ = method.support(method.restore(method.save(state)))
    np.testing.assert_array_equal(read, after)


@pytest.mark.parametrize("name", METHODS)
def test_it_decides_the_bits_only_where_it_is_asked_for(name, monkeypatch):
    if name == "mtt":
        monkeypatch.setattr(
            METHODS[name], "experts", lambda self: type("", (), {"fingerprint": ""})
        )
    assert "corruption" not in method_for(name).identity()
    assert method_for(name, corruption=0.3).identity()["corruption"] == 0.3


def test_what_is_held_has_no_moments_and_the_rest_those_of_before():
    rule = optax.adam(0.1)
    images = np.ones((4, 3, 3, 2), np.float32)
    noise = corruption.Corruption(0.4, 1)
    held = noise.held(rule)
    arrays, gradients = {"images": images, "labels": images[:, 0, 0]}, {}
    rng = np.random.default_rng(0)
    plain, still = begin_learning(rule, arrays), begin_learning(held, arrays)
    for _ in range(3):
        gradients = {n: rng.standard_normal(a.shape).astype(np.float32) for n, a in arrays.items()}
        plain, still = plain.updated(rule, gradients), still.updated(held, gradients)
    mask = noise.mask(images.shape)
    np.testing.assert_array_equal(still.arrays["images"][mask], 1)
    np.testing.assert_array_equal(still.arrays["images"][~mask], plain.arrays["images"][~mask])
    np.testing.assert_array_equal(still.arrays["labels"], plain.arrays["labels"])
    assert corruption.Corruption().held(rule) is rule
    assert corruption.Corruption().of(images) is images


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="`corruption` must be from 0 to below 1"):
        corruption.Corruption(share)
    with pytest.raises(ValueError, match="`--corruption` must be a share from 0 to below 1"):
        method_for("kip", corruption=share)


@pytest.mark.parametrize("name", ["kip", "rfad", "dd", "dm"])
def test_another_transform_than_pixels_is_refused(name):
    with pytest.raises(ValueError, match="use --coordinates=pixel"):
        method_for(name, corruption=0.5, coordinates="dct")
