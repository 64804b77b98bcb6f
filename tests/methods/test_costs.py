import dataclasses

import pytest

from stillhouse.methods.costs import (
    RunSizes,
    check_memory,
    evaluation_cost,
    gram_elements,
    kip_cost,
    label_solve_cost,
    step_elements,
)

_CIFAR = RunSizes((32, 32, 3), 10, train=50000, test=10000, support=500, chunk=2000)


def test_elements_of_published_settings():
    """S(S+1)/2 + S T: 2.63, 0.51 and 0.05 million at 500, 100 and 10 images, 5,000 targets."""
    assert step_elements(500, 5000) == 2_625_250
    assert step_elements(100, 5000) == 505_050
    assert step_elements(10, 5000) == 50_055
    assert gram_elements(500) == 125_250


def test_the_elements_of_a_run():
    cost = kip_cost(_CIFAR, targets=5000, steps=300, evaluations=3)
    assert cost.backward_elements == 300 * 2_625_250
    assert cost.forward_elements == 300 * 2_625_250 + 3 * (5_000_000 + 125_250)
    assert cost.elements == cost.forward_elements + cost.backward_elements

    cost = label_solve_cost(_CIFAR)
    assert cost.forward_elements == 25_000_000 + 125_250 + 5_000_000 + 125_250
    assert cost.backward_elements == 0
    assert evaluation_cost(_CIFAR, images=10000).elements == 5_125_250


def test_memory_names_its_parts_largest_first():
    sizes = dataclasses.replace(_CIFAR, kernel_bytes=10**8, zca=True)
    cost = kip_cost(sizes, targets=5000, steps=300, evaluations=3)
    parts = dict(cost.memory)
    assert parts["data set"] == 60000 * 3072
    assert parts["kernel backend"] == 10**8
    assert parts["ZCA"] >= 2 * 3072**2 * 8
    assert parts["kernel matrices"] >= 5000 * 500 * (4 + 8 + 8)
    assert cost.bytes == sum(parts.values())
    assert [size for _, size in cost.memory] == sorted(parts.values(), reverse=True)


def test_memory_of_label_solve_does_not_grow_with_the_kernel_of_all_targets():
    more = dataclasses.replace(_CIFAR, train=100000)
    growth = label_solve_cost(more).bytes - label_solve_cost(_CIFAR).bytes
    assert growth == 50000 * 3072


@pytest.mark.parametrize("make", ["kip", "label_solve", "evaluation"])
@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"train": 10**9}, "smaller images"),
        ({"support": 10**6}, "Use a smaller support set"),
        ({"zca": True, "image_shape": (512, 512, 3)}, "Use another transform"),
        ({"kernel_bytes": 10**14}, "shallower architecture"),
    ],
)
def test_what_does_not_fit_is_refused_with_advice(make, change, advice):
    sizes = dataclasses.replace(_CIFAR, **change)
    cost = {
        "kip": lambda: kip_cost(sizes, targets=5000, steps=1, evaluations=1),
        "label_solve": lambda: label_solve_cost(sizes),
        "evaluation": lambda: evaluation_cost(sizes, images=10000),
    }[make]()
    check_memory(cost, cost.bytes)
    with pytest.raises(ValueError, match=f"16.00 GB are available.*{advice}"):
        check_memory(cost, 16 * 10**9)


@pytest.mark.parametrize("name", ["num_classes", "train", "support", "chunk", "pixel_bytes"])
def test_sizes_that_are_not_positive_are_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be positive, got 0"):
        dataclasses.replace(_CIFAR, **{name: 0})


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match="`test` must not be negative"):
        dataclasses.replace(_CIFAR, test=-1)
    with pytest.raises(ValueError, match="`targets` must be positive"):
        kip_cost(_CIFAR, targets=0, steps=1, evaluations=1)
    with pytest.raises(ValueError, match="`steps` and `evaluations`"):
        kip_cost(_CIFAR, targets=1, steps=-1, evaluations=1)
    with pytest.raises(ValueError, match="`evaluations`"):
        label_solve_cost(_CIFAR, evaluations=-1)
