import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.methods.programs import (
    Context,
    LossCurvature,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import build_network


@pytest.fixture
def program(spots):
    return LossCurvature(spots.network, 3, 40, True, spots.transform.kind, spots.names)


@pytest.fixture
def network(spots):
    return build_network(spots.network, (3, 3, 1), 3)


def test_samples_are_of_the_trace_of_the_whole_hessian(program, spots, network):
    weights = network.pack(*network.init(0))
    task = Task(
        program, (spots.images, spots.classes, weights, *spots.arrays), (np.array([2], np.int64),)
    )
    results = run_task(Context(), task)
    check_results(task.results, results)
    samples, (loss,), (largest,) = results
    x = spots.transform.apply(spots.images)

    def value(vector):
        outputs, _ = network.apply(*network.unpack(vector), x, training=False)
        return -jnp.mean(jax.nn.log_softmax(outputs)[jnp.arange(9), spots.classes])

    whole = np.asarray(jax.jacrev(jax.jacrev(value))(jnp.asarray(weights)), np.float64)
    error = samples.std(ddof=1) / np.sqrt(len(samples))
    assert abs(samples.mean() - np.trace(whole)) < 3.5 * error
    assert loss == pytest.approx(float(value(weights)), rel=1e-5)
    assert largest == pytest.approx(np.linalg.eigvalsh(whole)[-1], rel=2e-3)
    assert task.work == 3 * (40 + 30) * 9


def test_it_is_data_and_refuses_what_does_not_belong(program, spots, network):
    assert program_from_json(program_to_json(program)) == program
    weights = network.pack(*network.init(0))
    shared = (spots.images, spots.classes, weights, *spots.arrays)
    assert len(dataclasses.replace(program, eigenvalue=False).results(shared, ())) == 2
    with pytest.raises(ValueError, match="the seed of its probes"):
        program.check(shared, ())
    with pytest.raises(ValueError, match=r"weights must be float32 \[81\], got float32 \[80\]"):
        program.check((*shared[:2], weights[1:], *shared[3:]), (np.array([2], np.int64),))
    with pytest.raises(ValueError, match="`probes` must be 2 or more, got 1"):
        dataclasses.replace(program, probes=1)
