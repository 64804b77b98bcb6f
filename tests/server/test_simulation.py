import time

import pytest

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import plan_tiles
from stillhouse.methods.kernel_regression.tiled import outline_step
from stillhouse.server.planned import PlannedTask, planned
from stillhouse.server.simulation import simulate

MB = 2**20


def alike(count, work=1000, blobs=None):
    return [PlannedTask(work, blobs or {"x": MB}, 10, 20) for _ in range(count)]


def test_one_worker_takes_as_long_as_the_work():
    result = simulate(alike(100), workers=1, seconds_per_unit=1e-3)
    assert result.seconds == pytest.approx(100, rel=1e-3)
    assert result.busy_share > 0.999
    assert (result.leases, result.fetches) == (100, 1)
    assert (result.bytes_down, result.bytes_up) == (MB + 100 * 10, 100 * 20)


@pytest.mark.parametrize("workers", [8, 64, 512])
def test_many_workers_take_their_share(workers):
    # A count that does not divide: in the last round some are idle, and that is all.
    tasks = alike(20 * workers + 1, blobs={"x": 1000})
    result = simulate(tasks, workers=workers, seconds_per_unit=1e-3)
    assert 21 < result.seconds < 22
    assert result.fetches <= workers


def test_passes_follow_each_other_and_images_are_fetched_once():
    once = simulate(alike(64), workers=8, seconds_per_unit=1e-3)
    twice = simulate(alike(64), alike(64), workers=8, seconds_per_unit=1e-3)
    assert twice.fetches == once.fetches == 8
    assert twice.seconds == pytest.approx(2 * once.seconds, rel=0.02)
    assert simulate(workers=2, seconds_per_unit=1.0).leases == 0


def test_small_arrays_come_with_the_tasks_and_take_no_call():
    small = simulate(alike(100, blobs={"x": 1000}), workers=1, seconds_per_unit=1e-3)
    large = simulate(alike(100), workers=1, seconds_per_unit=1e-3)
    assert (small.fetches, large.fetches) == (0, 1)
    assert small.bytes_down == 1000 + 100 * 10
    assert small.calls == large.calls - 1


def test_a_small_cache_fetches_again():
    tasks = [PlannedTask(10, {f"b{n % 7}": MB}) for n in range(140)]
    large = simulate(tasks, workers=1, seconds_per_unit=1e-3)
    small = simulate(tasks, workers=1, seconds_per_unit=1e-3, cache_bytes=2 * MB)
    assert large.fetches == 7
    assert large.bytes_down == 7 * MB
    assert small.fetches > 7


def test_a_server_that_cannot_keep_up_is_seen():
    result = simulate(alike(500, work=1), workers=100, seconds_per_unit=1e-3)
    assert result.server_share > 0.9 and result.busy_share < 0.1
    faster = simulate(alike(500, work=1), workers=100, seconds_per_unit=1e-3, bytes_per_second=2e9)
    assert faster.seconds < result.seconds / 2


def test_a_slow_worker_does_not_hold_up_the_others():
    speeds = [1.0] * 15 + [0.01]
    result = simulate(alike(320), workers=16, seconds_per_unit=1e-3, speeds=speeds)
    # It alone would take a hundred seconds for the one task that it has.
    assert result.seconds < 26
    assert result.leases > 320


def test_workers_that_die_delay_the_run_by_little_more_than_their_share():
    lives = [float("inf")] * 8 + [5.5] * 8
    result = simulate(alike(320), workers=16, seconds_per_unit=1e-3, lives=lives)
    # Five rounds of sixteen and thirty of eight, and up to two heartbeats until it is known.
    assert 35 <= result.seconds < 43


def test_what_cannot_end_is_an_error():
    with pytest.raises(ValueError, match="live longer"):
        simulate(alike(10), workers=2, seconds_per_unit=1.0, lives=[1.0, 1.0])
    with pytest.raises(ValueError, match="`workers` must be 1 or more, got 0"):
        simulate(alike(1), workers=0, seconds_per_unit=1.0)


def test_a_step_is_planned_with_what_it_computes_and_sends():
    tiles = plan_tiles(20, 30, elements=256)
    forward, backward = map(planned, outline_step(KernelSpec(fc(1)), tiles, (5, 5, 1)))
    assert sum(task.work for task in forward) == 20 * 21 // 2 + 20 * 30
    assert sum(task.work for task in backward) == sum(task.work for task in forward)
    names = {name for task in forward for name in task.blobs}
    assert {name for task in backward for name in task.blobs} == names
    for tile, there, back in zip(tiles, forward, backward, strict=True):
        n1, n2 = (stop - start for start, stop in (tile.rows, tile.cols))
        assert (there.bytes_down, there.bytes_up, back.bytes_down) == (0, 4 * n1 * n2, 4 * n1 * n2)
        gradients = {"ts": n2, "ss": n1 if tile.kind == "gram" else n1 + n2}[tile.matrix]
        assert back.bytes_up == 100 * gradients


def test_512_workers_and_thousands_of_tasks_take_seconds():
    tiles = plan_tiles(1000, 10_000, elements=2**11)
    forward, backward = outline_step(KernelSpec(fc(1)), tiles, (32, 32, 3))
    passes = planned(forward), planned(backward, cost=2.0)
    began = time.process_time()
    result = simulate(*passes, workers=512, seconds_per_unit=1e-3)
    assert sum(map(len, passes)) > 10_000
    assert result.busy_share > 0.85
    assert time.process_time() - began < 20
