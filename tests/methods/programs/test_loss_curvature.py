import dataclasses

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
from stillhouse.networks.curvature import LossSurface, trace_samples


@pytest.fixture
def program(spots):
    return LossCurvature(spots.network, 3, 5, True, spots.transform.kind, spots.names)


@pytest.fixture
def network(spots):
    return build_network(spots.network, (3, 3, 1), 3)


def test_it_is_the_curvature_of_what_the_network_sees(program, spots, network):
    weights = network.pack(*network.init(0))
    task = Task(
        program, (spots.images, spots.classes, weights, *spots.arrays), (np.array([2], np.int64),)
    )
    results = run_task(Context(), task)
    check_results(task.results, results)
    samples, (loss,), (largest,) = results
    # That these are of the whole Hessian, see the tests of `stillhouse.networks.curvature`.
    one_hot = np.eye(3, dtype=np.float32)[spots.classes]
    surface = LossSurface(spots.network, weights, spots.transform.apply(spots.images), one_hot)
    np.testing.assert_array_equal(samples, trace_samples(surface.product, 81, 5, seed=2))
    assert loss == surface.value()
    whole = np.stack([surface.product(v) for v in np.eye(81)])
    assert largest == pytest.approx(np.linalg.eigvalsh(whole)[-1], rel=2e-3)
    assert task.work == 3 * (5 + 30) * 9


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
