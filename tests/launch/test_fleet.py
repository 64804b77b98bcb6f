import dataclasses

import pytest

from stillhouse.kernels import KernelSpec, convnet, fc
from stillhouse.launch.fleet import StepSizes, best_tile_elements, plan_step

# KIP with 50 images of each of ten classes, and a batch as in the papers.
PAPER = StepSizes(KernelSpec(convnet()), (32, 32, 3), 500, 5000)
SMALL = StepSizes(KernelSpec(fc(1)), (8, 8, 1), 10, 1000)
IMAGE = 32 * 32 * 3 * 4


def planned(sizes, workers, forward=1e-3, backward=3e-3, alone=0.0):
    return plan_step(sizes, workers, forward=forward, backward=backward, alone=alone)


def test_what_256_workers_must_be_sent_is_hardly_exceeded():
    plan = planned(PAPER, 256)
    assert plan.least_bytes == (256 * 500 + 5000) * IMAGE
    assert plan.ratio <= 1.5
    assert plan.ratio == (plan.bytes_down + plan.bytes_up) / plan.least_bytes


@pytest.mark.parametrize("forward", [1e-5, 1e-4, 1e-2])
def test_it_is_so_at_any_speed(forward):
    assert planned(PAPER, 256, forward=forward, backward=2 * forward).ratio <= 1.5


def test_one_worker_computes_one_tile_after_another():
    elements = 500 * 501 // 2 + 500 * 5000
    plan = planned(PAPER, 1, alone=2.0)
    computing = elements * (1e-3 + 3e-3)
    assert plan.seconds == pytest.approx(computing + 2.0, rel=0.01)
    assert plan.busy_share == pytest.approx(computing / plan.seconds, rel=1e-6)
    # Each image once, and the cotangents of all blocks.
    blocks = 4 * (500 * 5000 + 500 * 500)
    assert plan.bytes_down <= 5500 * IMAGE + blocks


def test_a_batch_is_made_meanwhile_unless_it_takes_longer_than_the_step():
    sizes = {"forward": 1e-3, "backward": 3e-3, "alone": 2.0}
    plain = plan_step(SMALL, 4, **sizes)
    assert plan_step(SMALL, 4, **sizes, batch=1.0) == plain
    slow = plan_step(SMALL, 4, **sizes, batch=2 * plain.seconds)
    assert slow.seconds == 2 * plain.seconds
    assert slow.busy_share == pytest.approx(plain.busy_share / 2)


def test_more_workers_are_faster_and_less_busy():
    plans = [planned(PAPER, workers) for workers in (1, 16, 128)]
    assert plans[0].seconds > 10 * plans[1].seconds > 40 * plans[2].seconds
    assert plans[0].busy_share > plans[1].busy_share > plans[2].busy_share


def test_labels_need_one_pass():
    images = planned(SMALL, 4)
    labels = planned(dataclasses.replace(SMALL, learns_images=False), 4, backward=0.0)
    assert labels.seconds < images.seconds
    assert labels.bytes_up == 4 * 1000 * 10


# Workers of 250,000 kernel elements a second, there and back, and target images as bytes.
FAST = 4e-6
FLEET = dataclasses.replace(PAPER, target_bytes=1)


def of_a_fleet(workers):
    """A step by the tiles that are chosen for so many fast workers."""
    elements = best_tile_elements(FLEET, workers, forward=FAST, backward=FAST)
    chosen = dataclasses.replace(FLEET, tile_elements=elements)
    return planned(chosen, workers, forward=FAST, backward=FAST)


def test_fast_workers_are_busy_with_tiles_that_are_chosen_for_them():
    plans = {workers: of_a_fleet(workers) for workers in (16, 64, 256)}
    assert plans[16].busy_share >= 0.85
    assert plans[64].busy_share >= 0.60
    # More of them are no slower, though beyond a hundred no faster either.
    assert plans[16].seconds > plans[64].seconds > 0.99 * plans[256].seconds
    usual = planned(PAPER, 64, forward=FAST, backward=FAST)
    assert usual.busy_share < 0.5 * plans[64].busy_share
    assert usual.bytes_down + usual.bytes_up > 3 * (plans[64].bytes_down + plans[64].bytes_up)


def test_slow_workers_keep_the_usual_tiles():
    assert best_tile_elements(FLEET, 4, forward=1e-3, backward=2e-3) is None
