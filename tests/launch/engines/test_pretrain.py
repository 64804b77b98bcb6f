"""A pool is the same to the bit, whoever trains it and whoever dies: in real processes."""

import os
import re
import signal

import pytest

from stillhouse.networks.pool import Pool

# Seconds of training for each network, in which a worker can be killed.
SMALL = ("--network=mlp", "--width=64", "--epochs=150", "--networks=4", "--trajectories",
         "--every=900")  # fmt: skip


def weights(folder):
    pool = Pool(folder)
    return [
        [pool.weights(index, step).tobytes() for step in (*pool.steps, None)]
        for index in range(len(pool))
    ]


@pytest.mark.parametrize("engine", ["launchpad", "ray"])
def test_workers_train_the_same_networks_though_one_is_killed(
    processes, eventually, tmp_path, engine
):
    pytest.importorskip(engine, reason=f"needs {engine}")
    local = processes.start("pretrain", *SMALL, "--out=local")
    assert local.wait() == 0, local.said
    flags = (f"--engine={engine}", "--workers=2", "--heartbeat=0.5")
    run = processes.start("pretrain", *SMALL, *flags, "--out=pool")

    def joined():
        found = re.findall(r"\(\S+:(\d+)\) has joined", run.said)
        return found if len(set(found)) == 2 else None

    first, _ = eventually(joined, "joined by both workers", command=run)
    os.kill(int(first), signal.SIGKILL)
    assert run.wait() == 0, run.said
    assert re.search(r"is lost with \d tasks", run.said)
    assert weights(tmp_path / "pool") == weights(tmp_path / "local")
    assert processes.alive() == []


def test_a_killed_pool_goes_on_with_the_networks_that_are_missing(processes, eventually, tmp_path):
    whole = processes.start("pretrain", *SMALL, "--out=whole")
    run = processes.start("pretrain", *SMALL, "--out=pool")
    pool = tmp_path / "pool"
    eventually((pool / "network-0001.npz").exists, "two networks old", command=run)
    run.send(signal.SIGKILL)
    run.process.wait()
    kept = (pool / "network-0000.npz").stat()
    again = processes.start("pretrain", *SMALL, "--out=pool")
    assert again.wait() == 0, again.said
    assert whole.wait() == 0, whole.said
    assert (pool / "network-0000.npz").stat() == kept
    assert weights(pool) == weights(tmp_path / "whole")
