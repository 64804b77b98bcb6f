import numpy as np
import pytest

from stillhouse.methods.programs import Context, NetworkFeatures, program_from_json, program_to_json
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec, build_network


@pytest.mark.parametrize(
    "spec", [NetworkSpec("mlp", width=3, depth=1), NetworkSpec(width=4, depth=1, norm="batch")]
)
def test_the_last_layer_makes_the_outputs_of_them(spots, spec):
    network = build_network(spec, (3, 3, 1), 3)
    params, state = network.init(0)
    program = NetworkFeatures(spec, 3, spots.transform.kind, spots.names)
    assert program_from_json(program_to_json(program)) == program
    task = Task(program, (spots.asked, network.pack(params, state), *spots.arrays))
    results = run_task(Context(), task)
    check_results(task.results, results)
    assert task.work == 10
    outputs, _ = network.apply(params, state, spots.transform.apply(spots.asked), training=False)
    named = dict(zip((name for name, _ in network.layout), _arrays(network, params), strict=False))
    weight, bias = list(named.values())[-2:]
    np.testing.assert_allclose(results[0] @ weight.T + bias, outputs, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="features are of images"):
        program.check(task.shared, (np.zeros(1),))


def _arrays(network, params):
    import jax

    return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(params)]
