"""A set learned through networks is the same to the bit, whoever computes or dies."""

import os
import re
import signal

import pytest

SMALL = {
    "dd": ("--network=mlp", "--width=64", "--distill_steps=4", "--networks=3", "--steps=60"),
    "rfad": ("--architecture=fc", "--depth=1", "--networks=4", "--steps=20"),
    "frepo": ("--width=8", "--depth=1", "--networks=2", "--recipe_steps=5", "--steps=20"),
}
COMMON = ("--eval_every=0", "--checkpoint_every=20", "--target_batch=300")


@pytest.mark.parametrize(
    ("method", "engine"),
    [("dd", "launchpad"), ("dd", "ray"), ("rfad", "launchpad"), ("frepo", "launchpad")],
)
def test_it_is_the_same_by_one_process_and_by_workers_of_whom_one_is_killed(
    processes, eventually, tmp_path, bits, method, engine
):
    pytest.importorskip(engine, reason=f"needs {engine}")
    problem = (f"--method={method}", *SMALL[method], *COMMON)
    flags = (f"--engine={engine}", "--workers=2", "--heartbeat=0.5")
    run = processes.start("distill", *problem, *flags, "--out=workers")
    if engine == "launchpad":

        def busy():
            joined = re.findall(r"\(\S+:(\d+)\) has joined", run.said)
            return int(joined[0]) if joined else None

        # It has still to compile what it will compute: the run is long from over.
        os.kill(eventually(busy, "a worker", command=run), signal.SIGKILL)
    assert run.wait() == 0, run.said
    alone = processes.start("distill", *problem, "--out=alone")
    assert alone.wait() == 0, alone.said
    assert bits(tmp_path / "workers") == bits(tmp_path / "alone")
    assert processes.alive() == []
