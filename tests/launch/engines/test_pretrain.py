"""A pool is the same to the bit, whoever trains it and whoever dies: in real processes."""

import os
import re
import signal
from pathlib import Path

import pytest

from stillhouse.networks.pool import Pool

SMALL = ("--network=mlp", "--width=64", "--epochs=60", "--networks=4", "--trajectories",
         "--every=300")  # fmt: skip


def weights(folder):
    pool = Pool(folder)
    return [
        [pool.weights(index, step).tobytes() for step in (*pool.steps, None)]
        for index in range(len(pool))
    ]


@pytest.mark.usefixtures("fully_compiled")
@pytest.mark.parametrize("engine", ["launchpad", "ray"])
def test_a_pool_is_the_same_by_one_process_and_by_four_workers_of_whom_one_is_killed(
    processes, eventually, tmp_path, engine
):
    pytest.importorskip(engine, reason=f"needs {engine}")
    if engine == "launchpad":
        from stillhouse.launch.engines.courier_client import CourierServer
    flags = (f"--engine={engine}", "--workers=4", "--heartbeat=2")
    run = processes.start("pretrain", *SMALL, *flags, "--out=pool")

    def busy():
        """The process of a worker that has a network to train."""
        if engine == "launchpad":
            if not (port := re.search(r"listens at port (\d+)", run.said)):
                return None
            workers = CourierServer(f"localhost:{port[1]}", timeout=10).status()["workers"]
            training = [worker["pid"] for worker in workers if worker["state"] == "busy"]
            return training[0] if training and len(workers) == 4 else None
        titles = {pid: Path(f"/proc/{pid}/cmdline") for pid in processes.alive()}
        found = [pid for pid, title in titles.items() if title.exists()
                 and title.read_bytes().startswith(b"ray::RayWorker.run")]  # fmt: skip
        return found[0] if found else None

    victim = eventually(busy, "training", command=run)
    os.kill(victim, signal.SIGKILL)
    assert run.wait() == 0, run.said
    # Its networks are lent again, of which it had begun one; nobody else's took too long.
    assert len(re.findall(rf":{victim}\) is lost with [12] tasks", run.said)) == 1, run.said
    assert not re.search(r"is over|too long", run.said)

    # One process alone, which is killed too, and goes on with the networks that are missing.
    local = tmp_path / "local"
    alone = processes.start("pretrain", *SMALL, "--out=local")
    eventually((local / "network-0000.npz").exists, "one network old", command=alone)
    alone.send(signal.SIGKILL)
    alone.process.wait()
    kept = (local / "network-0000.npz").stat().st_mtime_ns
    again = processes.start("pretrain", *SMALL, "--out=local")
    assert again.wait() == 0, again.said
    assert (local / "network-0000.npz").stat().st_mtime_ns == kept
    assert weights(tmp_path / "pool") == weights(local)
    assert processes.alive() == []
