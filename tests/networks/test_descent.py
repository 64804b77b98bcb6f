import itertools

import jax
import numpy as np
import pytest

from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import accuracy, descend, looked_at, programs_for
from stillhouse.networks.objective import Objective

SPEC = NetworkSpec("mlp", width=6, depth=1)
SHAPE = (2, 2, 1)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, *SHAPE)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[np.arange(8) % 3]


def leaves(tree):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree_util.tree_leaves(tree)]


def outputs(w1, b1, w2, b2):
    return np.maximum(X.reshape(8, -1) @ w1.T + b1, 0) @ w2.T + b2


def loss(arrays, l2):
    """Cross entropy and L2 in float64, by other code."""
    f = outputs(*arrays)
    f = f - np.log(np.exp(f).sum(axis=1, keepdims=True))
    return -np.mean((Y * f).sum(axis=1)) + l2 / 2 * sum((a**2).sum() for a in arrays)


def gradient(arrays, l2, step=1e-6):
    found = []
    for array in arrays:
        slopes = np.empty_like(array)
        for at in np.ndindex(array.shape):
            kept, values = array[at], []
            for sign in (1, -1):
                array[at] = kept + sign * step
                values.append(loss(arrays, l2))
            array[at] = kept
            slopes[at] = (values[0] - values[1]) / (2 * step)
        found.append(slopes)
    return found


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_steps_are_those_of_the_textbook(optimiser):
    programs = programs_for(SPEC, Objective("xent", 0.1, optimiser, 0.5), SHAPE, 3)
    params, state = programs.network.init(0)
    rates = [0.1, 0.05, 0.02]
    expected = leaves(params)
    first = [np.zeros_like(a) for a in expected]
    second = [np.zeros_like(a) for a in expected]
    for number, rate in enumerate(rates, 1):
        for i, slope in enumerate(gradient(expected, 0.1)):
            if optimiser == "sgd":
                first[i] = 0.5 * first[i] + slope
                update = first[i]
            else:
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope**2
                root = np.sqrt(second[i] / (1 - 0.999**number)) + 1e-8
                update = first[i] / (1 - 0.9**number) / root
            expected[i] -= rate * update
    steps = list(descend(programs, params, state, rates, itertools.repeat((X, Y))))
    assert len(steps) == 3
    for found, wanted in zip(leaves(steps[-1][0]), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    before, right = np.asarray(steps[0][2])
    assert before == pytest.approx(loss(leaves(params), 0.0), rel=1e-4)  # Without L2.
    predicted = outputs(*leaves(params)).argmax(axis=1)
    assert right == pytest.approx(np.mean(predicted == Y.argmax(axis=1)))


def test_values_are_looked_at_late_in_order_and_all_of_them():
    begun = []

    def steps():
        for number in range(7):
            begun.append(number)
            yield number, np.full(2, number)

    seen = []
    for number, values in looked_at(steps()):
        seen.append((number, int(values[0]), len(begun)))
    assert [one[:2] for one in seen] == [(n, n) for n in range(7)]
    assert [one[2] for one in seen] == [5, 6, 7, 7, 7, 7, 7]


def test_accuracy_counts_every_image_once_whatever_the_batch():
    programs = programs_for(SPEC, Objective(), SHAPE, 3)
    params, state = programs.network.init(0)
    classes = outputs(*leaves(params)).argmax(axis=1)
    classes[:2] = (classes[:2] + 1) % 3
    for batch in (3, 8, 100):
        assert accuracy(programs, params, state, X, classes, batch=batch) == 6 / 8
    raw = 10 * X
    assert accuracy(programs, params, state, raw, classes, prepare=lambda x: x / 10) == 6 / 8


def test_programs_are_compiled_once_for_equal_settings():
    assert programs_for(SPEC, Objective(), SHAPE, 3) is programs_for(
        NetworkSpec("mlp", width=6, depth=1), Objective(), SHAPE, 3
    )
