import contextlib
import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.networks import NetworkSpec, memory
from stillhouse.networks.descent import accuracy, programs_for
from stillhouse.networks.memory import OVERCOUNT, check_batch, prediction_batch, program_bytes
from stillhouse.networks.objective import Objective

NETWORKS = {
    "mlp": (NetworkSpec("mlp", width=64), (8, 8, 1)),
    "convnet": (NetworkSpec("convnet", width=16, depth=2, norm="instance"), (16, 16, 3)),
    "lenet": (NetworkSpec("lenet"), (16, 16, 1)),
    "alexcifar": (NetworkSpec("alexcifar"), (8, 8, 3)),
    "resnet18": (NetworkSpec("resnet18", width=8), (8, 8, 3)),
}


def taken(compiled):
    """What XLA's plan takes in all, or None where this JAX does not say."""
    analysis = compiled.memory_analysis()
    temporary = getattr(analysis, "temp_size_in_bytes", 0)
    if not temporary:  # The oldest say nothing, or 0 whatever the program.
        return None
    return temporary + analysis.argument_size_in_bytes + analysis.output_size_in_bytes


@pytest.mark.parametrize(
    ("name", "optimiser"), [*((name, "sgd") for name in NETWORKS), ("mlp", "adam")]
)
def test_no_program_takes_more_than_is_counted_nor_far_less(name, optimiser):
    (spec, shape), batch = NETWORKS[name], 32
    programs = programs_for(spec, Objective(optimiser=optimiser), shape, 10)
    params, state = programs.network.init(0)
    x, y = np.zeros((batch, *shape), np.float32), np.zeros((batch, 10), np.float32)
    moments = programs.optimiser.init(params)
    measured = taken(programs.predict.lower(params, state, x).compile())
    if measured is None:
        pytest.skip("this JAX does not say what memory a program takes")
    assert measured <= programs.prediction_bytes(batch) <= OVERCOUNT * measured
    step = programs.step.lower(params, moments, state, np.float32(1), x, y).compile()
    assert taken(step) <= programs.step_bytes(batch) <= OVERCOUNT * taken(step)


def test_what_was_read_for_the_last_time_is_not_counted_on():
    x = jax.ShapeDtypeStruct((256,), jnp.float32)

    def chain(x):
        for _ in range(9):
            x = jnp.sin(x)
        return x

    def kept(x):
        made = [x]
        for _ in range(9):
            made.append(jnp.sin(made[-1]))
        return made[1:]

    one, copies = 1024, memory._COPIES
    assert program_bytes(chain, x) == one + copies * 2 * one
    assert program_bytes(jax.jit(chain), x) == one + copies * 2 * one
    assert program_bytes(kept, x) == program_bytes(jax.jit(kept), x) == one + copies * 9 * one


def test_arguments_that_are_transposed_are_kept_beside_themselves():
    x = jax.ShapeDtypeStruct((16, 16), jnp.float32)

    def product(x, y):
        return x.T @ jnp.sin(y.T)

    # Transposes, and what is alive at once: both of these, then the sine of one beside them.
    for program in (product, jax.jit(product)):
        assert program_bytes(program, x, x) == 4 * 1024 + memory._COPIES * 3 * 1024


def test_counted_are_parameters_gradients_moments_and_a_batch_s_activations():
    spec, shape = NETWORKS["convnet"]
    plain, adam = (programs_for(spec, Objective(optimiser=o), shape, 10) for o in ("sgd", "adam"))
    learned = 4 * plain.network.num_parameters
    # The parameters are given and handed back, and so is one moment of each, or two.
    assert plain.step_bytes(1) > 4 * learned
    assert adam.step_bytes(1) >= plain.step_bytes(1) + learned
    steps = [plain.step_bytes(n) for n in (100, 200, 300)]
    assert steps[2] - steps[1] == steps[1] - steps[0] > 100 * 4 * 2 * 16 * 16 * 16


@pytest.mark.parametrize(
    ("total", "expected"), [(None, 250), (2000, 250), (1999, 125), (400, 31), (1, 1)]
)
def test_fewer_images_are_predicted_at_a_time_where_memory_is_small(monkeypatch, total, expected):
    monkeypatch.setattr(memory, "model_bytes", lambda: total)
    assert prediction_batch(lambda images: 4 * images, 250) == expected


def test_a_small_memory_changes_no_accuracy(monkeypatch):
    spec, shape = NETWORKS["mlp"]
    programs, sizes = programs_for(spec, Objective("mse"), shape, 10), set()
    params, state = programs.network.init(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((41, *shape)).astype(np.float32)
    classes = rng.integers(10, size=41)
    expected = accuracy(programs, params, state, x, classes, batch=40)

    def seen(params, state, images):
        sizes.add(len(images))
        return programs.predict(params, state, images)

    small = dataclasses.replace(programs, predict=seen)
    monkeypatch.setattr(memory, "model_bytes", lambda: 2 * programs.prediction_bytes(10))
    # It is traced for each size that is tried, too.
    assert accuracy(small, params, state, x, classes, batch=40) == expected
    assert sizes == {40, 20, 10}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, None),
        (1000 * 2**20, None),
        (999 * 2**20, "1,000 images takes 1.0 GiB or more, and JAX may use 1.0 GiB of this device"),
        (999 * 2**20, "use a `batch_size` of 125"),
        (2**20, "use a smaller network or smaller images"),
    ],
)
def test_a_batch_that_no_device_of_its_memory_holds_is_refused(monkeypatch, given, said):
    monkeypatch.setattr(memory, "given_bytes", lambda: given)
    with pytest.raises(ValueError, match=re.escape(said)) if said else contextlib.nullcontext():
        check_batch(lambda images: OVERCOUNT * images * 2**20, 1000)
