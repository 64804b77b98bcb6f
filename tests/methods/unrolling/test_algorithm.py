import numpy as np
import pytest

from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.algorithm import Interrupted, LearnsRecipe, NonFiniteStepError
from stillhouse.methods.method import Problem
from stillhouse.methods.programs import Context
from stillhouse.methods.tasks import run_task
from stillhouse.methods.unrolling.settings import UnrollSettings

ATTACK = {"objective": "misclassify", "attack_class": "0", "target_class": "2"}


class Runner:
    """Computes tasks here, and keeps them."""

    def __init__(self):
        self.tasks = []

    def results(self, tasks):
        self.tasks += tasks
        return (run_task(Context(), task) for task in tasks)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = rng.integers(0, 120, (240, 6, 6, 1))
    images[np.arange(240), 1 + labels, 2] += 130
    return dataset_from_arrays(images.astype(np.uint8), labels, name="spots")


@pytest.fixture
def make(dataset):
    def made(steps=20, should_stop=lambda: False, shuffled=False, **changes):
        base = {"network": "mlp", "width": 8, "distill_steps": 2, "distill_epochs": 2}
        settings = UnrollSettings(**{**base, "step_size": 0.1, "steps": steps, **changes})
        transform = fit_transform("standardise", dataset.x_train)
        batches = TargetBatches(dataset, transform, 60, seed=3)
        rows = np.concatenate([np.flatnonzero(dataset.y_train == c)[:2] for c in range(3)])
        rows = rows[[5, 0, 3, 1, 2, 4]] if shuffled else rows
        images = transform.apply(dataset.x_train[rows])
        labels = centred_one_hot(dataset.y_train[rows], 3)
        runner = Runner()
        problem = Problem(
            *(dataset, transform, batches, batches, 3, lambda: (images, labels)),
            *(runner, should_stop),
            steps=steps,
        )
        return settings.algorithm(problem), runner

    return made


def run(algorithm, steps):
    state, values = algorithm.begin(), {}
    for step in range(1, steps + 1):
        state, values = algorithm.advance(state, step)
    return state, values


def test_a_set_that_is_learned_teaches_more_than_it_did(make):
    rates = {"learning_rate": 0.05, "step_rate": 0.02}  # of a run as short as this
    algorithm, _ = make(steps=40, initialisation="fixed", learn_labels=True, **rates)
    assert isinstance(algorithm, LearnsRecipe)
    first, (state, _) = algorithm.begin(), run(algorithm, 40)
    before, after = algorithm.score(first)["test_accuracy"], algorithm.score(state)["test_accuracy"]
    assert after > max(before, 0.8)
    recipe = algorithm.recipe(state)
    assert recipe.order == ((0, 2, 4), (1, 3, 5)) and recipe.seed == 3
    assert len(set(recipe.step_sizes)) == 4 and min(recipe.step_sizes) > 0
    assert recipe.labels == "soft"
    # Every step has an image of each class.
    assert all(len({row // 2 for row in step}) == 3 for step in recipe.order)


def test_steps_have_each_class_however_a_set_lists_its_images(make):
    algorithm, _ = make(shuffled=True)
    state = algorithm.begin()
    classes = state["labels"].argmax(axis=1)
    order = algorithm.recipe(state).order
    assert all(sorted(classes[list(step)]) == [0, 1, 2] for step in order)
    assert sorted(row for step in order for row in step) == list(range(6))


def test_what_is_not_learned_stays(make):
    algorithm, _ = make(learn_step_sizes=False)
    state, _ = run(algorithm, 2)
    np.testing.assert_allclose(algorithm.recipe(state).step_sizes, 0.1, rtol=1e-6)
    np.testing.assert_array_equal(state["labels"], algorithm.begin()["labels"])


def test_saved_and_restored_it_ends_in_the_same_bits(make):
    algorithm, _ = make(learn_labels=True, coordinates="dct", networks=2)
    whole, _ = run(algorithm, 3)
    state, _ = run(algorithm, 2)
    state, _ = algorithm.advance(algorithm.restore(algorithm.save(state)), 3)
    for name in ("images", "labels", "log_step_sizes"):
        assert state[name].tobytes() == whole[name].tobytes()
    with pytest.raises(ValueError, match="log_step_sizes"):
        algorithm.restore({"images": whole["images"]})


def test_each_network_is_a_task_and_a_window_lies_at_random(make):
    algorithm, runner = make(networks=3, truncate=2)
    run(algorithm, 8)
    own = np.array([task.own[0] for task in runner.tasks]).reshape(8, 3, 2)
    assert len(set(own[..., 0].ravel())) == 24
    ends = own[..., 1]
    assert (ends == ends[:, :1]).all() and set(ends[:, 0]) == {2, 3, 4}


def test_an_attack_learns_from_its_class_and_keeps_the_others_where_asked(make, dataset):
    algorithm, runner = make(steps=30, initialisation="fixed", **ATTACK)
    state, _ = run(algorithm, 30)
    *_, x, y, w = runner.tasks[0].shared
    assert (y.argmax(axis=1) == 2).all() and w.sum() == pytest.approx(1)
    scores = algorithm.score(state)
    assert scores["attacked_as_target"] > scores["attacked_as_target_before"]
    assert {"other_accuracy", "other_accuracy_before", "test_accuracy"} <= scores.keys()
    assert algorithm.recipe(state).attack == (0, 2)
    algorithm, runner = make(steps=1, **ATTACK, keep_others=0.5)
    run(algorithm, 1)
    *_, x, y, w = runner.tasks[0].shared
    assert set(y[:30].argmax(axis=1)) == {2} and w[:30].sum() == pytest.approx(1)
    assert set(y[30:].argmax(axis=1)) == {1, 2} and w[30:].sum() == pytest.approx(0.5)


def test_what_leaves_float32_stops_at_its_step(make):
    algorithm, _ = make(step_size=1e38)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteStepError, match="step 1: the "):
        algorithm.advance(algorithm.begin(), 1)
    algorithm, _ = make(step_rate=500.0, decay=False)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            NonFiniteStepError, match="step 1: the size of gradient step [0-3] is not finite"
        ),
    ):
        algorithm.advance(algorithm.begin(), 1)


def test_scoring_stops_when_asked(make):
    algorithm, _ = make(should_stop=lambda: True)
    with pytest.raises(Interrupted):
        algorithm.score(algorithm.begin())
