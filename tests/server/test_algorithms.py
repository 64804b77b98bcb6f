import numpy as np
import pytest


@pytest.fixture(params=["kip", "label_solve"])
def algorithm(request, workshop):
    return workshop.kip() if request.param == "kip" else workshop.label_solve()


def after(algorithm, steps, state=None, first=1):
    state = algorithm.begin() if state is None else state
    for step in range(first, steps + 1):
        state, _ = algorithm.advance(state, step)
    return state


def assert_same(algorithm, one, other):
    one, other = algorithm.save(one), algorithm.save(other)
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name


def test_a_restored_state_goes_on_in_the_same_bits(algorithm):
    saved = algorithm.save(after(algorithm, 2))
    restored = after(algorithm, 4, algorithm.restore(saved), first=3)
    assert_same(algorithm, restored, after(algorithm, 4))


def test_a_step_leaves_the_state_it_began_from(algorithm):
    state = after(algorithm, 1)
    before = {name: array.copy() for name, array in algorithm.save(state).items()}
    algorithm.advance(state, 2)
    assert_same(algorithm, state, algorithm.restore(before))


def test_arrays_that_are_missing_are_not_a_state(algorithm):
    arrays = algorithm.save(after(algorithm, 1))
    del arrays["images"]
    with pytest.raises((ValueError, KeyError)):
        algorithm.restore(arrays)


def test_label_solve_gives_the_best_labels_for_all_training_images(workshop):
    solve = workshop.label_solve(chunk=50)
    assert solve.steps == 3  # 120 images
    images, labels = solve.support(after(solve, solve.steps))
    ((x, y),) = workshop.batches().chunks("train", 1000)
    gram = workshop.computer.gram(solve.spec, images).astype(np.float64)
    ridge = 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = workshop.computer.cross(solve.spec, x, images) @ np.linalg.inv(gram + ridge)
    expected = np.linalg.lstsq(weights, y.astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(labels, expected, rtol=1e-3, atol=1e-4)


def test_label_solve_has_its_first_labels_until_it_has_seen_targets(workshop):
    solve = workshop.label_solve()
    np.testing.assert_array_equal(solve.support(solve.begin())[1], workshop.start()[1])
