import dataclasses

import jax
import numpy as np
import optax
import pytest

from stillhouse.methods.programs import (
    Context,
    LeaveOneOut,
    SetTraining,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import build_network


@pytest.fixture
def program(spots):
    training = SetTraining(spots.network, 3, steps=12, learning_rate=0.1, momentum=0.9)
    return LeaveOneOut(training, spots.transform.kind, spots.names)


def losses(program, spots, seed, row):
    task = Task(program, spots.shared, (np.array([seed, row], np.int64),))
    results = run_task(Context(), task)
    check_results(task.results, results)
    return results[0]


def retrained(spots, seed, row):
    """The losses after a training that is written out, by optax, without our step and batches."""
    network = build_network(spots.network, (3, 3, 1), 3)
    kept = [i for i in range(9) if i != row]
    x, y = spots.transform.apply(spots.images[kept]), spots.classes[kept]

    def loss_of_each(params, x, y):
        outputs, _ = network.apply(params, state, x, training=True)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y)

    params, state = network.init(seed)
    optimiser = optax.sgd(0.1, momentum=0.9)
    moments = optimiser.init(params)
    gradient = jax.jit(jax.grad(lambda p: loss_of_each(p, x, y).mean()))
    for _ in range(12):
        updates, moments = optimiser.update(gradient(params), moments)
        params = optax.apply_updates(params, updates)
    return loss_of_each(params, spots.transform.apply(spots.asked), spots.answers)


def test_losses_are_those_of_training_again_without_the_image(program, spots):
    found = {row: losses(program, spots, 4, row) for row in (-1, 0, 5)}
    for row, values in found.items():
        np.testing.assert_allclose(values, retrained(spots, 4, row), rtol=1e-4, atol=1e-6)
    # Without an image of a class, images of that class are answered worse.
    change = found[0] - found[-1]
    own = spots.answers == spots.classes[0]
    assert change[own].mean() > 0 > change[~own].mean()


def test_it_is_data_and_says_what_it_costs(program, spots):
    assert program_from_json(program_to_json(program)) == program
    task = Task(program, spots.shared, (np.array([0, 1], np.int64),))
    assert task.work == 12 * 9 + 10
    assert str(task) == f"12 steps of a {spots.network} on 9 images but one"


def test_arrays_that_do_not_belong_are_refused(program, spots):
    own = (np.array([0, 1], np.int64),)
    images, classes, asked, answers, *rest = spots.shared
    for shared, mine, says in (
        (spots.shared[:-1], own, "shared arrays, got"),
        ((images, classes[:4], asked, answers, *rest), own, "belong together"),
        ((images, classes, asked[:, 1:], answers, *rest), own, "of one size"),
        ((images[:1], classes[:1], asked, answers, *rest), own, "none to leave out"),
        (spots.shared, (), "a seed and a row"),
    ):
        with pytest.raises(ValueError, match=says):
            program.check(shared, mine)
    with pytest.raises(ValueError, match="images 0 to 8, and 9 is left out"):
        losses(program, spots, 0, 9)
    with pytest.raises(ValueError, match="`steps` must be positive, got 0"):
        dataclasses.replace(program.training, steps=0)
    with pytest.raises(ValueError, match="`momentum` must be in"):
        dataclasses.replace(program.training, momentum=1.0)
