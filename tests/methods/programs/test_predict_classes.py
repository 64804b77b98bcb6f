import numpy as np
import pytest

from stillhouse.data.transforms import fit_transform
from stillhouse.methods.programs import (
    Context,
    PredictClasses,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec, build_network

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (7, 4, 4, 1)).astype(np.uint8)
SPEC = NetworkSpec("mlp", width=6, depth=1)
TRANSFORM = fit_transform("standardise", IMAGES)
ARRAYS = TRANSFORM.to_arrays()
PROGRAM = PredictClasses(SPEC, 3, "standardise", tuple(ARRAYS))


def test_each_network_answers_each_image():
    network = build_network(SPEC, (4, 4, 1), 3)
    starts = [network.init(seed) for seed in range(3)]
    weights = np.stack([network.pack(*start) for start in starts])
    one = Task(PROGRAM, (IMAGES, weights, *ARRAYS.values()))
    results = run_task(Context(), one)
    check_results(one.results, results)
    seen = TRANSFORM.apply(IMAGES)
    for answers, (params, state) in zip(results[0], starts, strict=True):
        outputs, _ = network.apply(params, state, seen, training=False)
        np.testing.assert_array_equal(answers, np.asarray(outputs).argmax(axis=1))
    assert one.work == 7 and "3 mlp" in str(one) and "7 images" in str(one)
    assert program_from_json(program_to_json(PROGRAM)) == PROGRAM


def test_what_does_not_belong_is_refused():
    shared = (IMAGES, np.zeros((2, 123), np.float32), *ARRAYS.values())
    with pytest.raises(ValueError, match="takes|take 4 shared arrays"):
        PROGRAM.check(shared[:3], ())
    with pytest.raises(ValueError, match="take 4 shared arrays and none of their own"):
        PROGRAM.check(shared, (IMAGES,))
    with pytest.raises(ValueError, match=r"images must be \[n, h, w, c\]"):
        PROGRAM.check((IMAGES[0], *shared[1:]), ())
    with pytest.raises(ValueError, match=r"weights must be float32 \[t, 123\]"):
        PROGRAM.check((IMAGES, shared[1][:, 1:], *shared[2:]), ())
