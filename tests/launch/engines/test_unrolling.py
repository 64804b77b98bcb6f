"""A set learned through gradient steps is the same to the bit, whoever computes or dies."""

import os
import re
import signal

import numpy as np
import pytest

SMALL = ("--method=dd", "--network=mlp", "--width=64", "--distill_steps=4", "--networks=3",
         "--steps=60", "--eval_every=0", "--checkpoint_every=20", "--target_batch=300")  # fmt: skip


def arrays(folder):
    with np.load(folder / "distilled.npz") as archive:
        return [archive[name].tobytes() for name in ("images", "labels")], (
            folder / "result.json"
        ).read_text().partition("step_sizes")[2]


@pytest.mark.parametrize("engine", ["launchpad", "ray"])
def test_it_is_the_same_by_one_process_and_by_workers_of_whom_one_is_killed(
    processes, eventually, tmp_path, engine
):
    pytest.importorskip(engine, reason=f"needs {engine}")
    flags = (f"--engine={engine}", "--workers=2", "--heartbeat=0.5")
    run = processes.start("distill", *SMALL, *flags, "--out=workers")
    if engine == "launchpad":

        def busy():
            joined = set(re.findall(r"\(\S+:(\d+)\) has joined", run.said))
            return int(min(joined)) if len(joined) == 2 else None

        os.kill(eventually(busy, "two workers", command=run), signal.SIGKILL)
    assert run.wait() == 0, run.said
    alone = processes.start("distill", *SMALL, "--out=alone")
    assert alone.wait() == 0, alone.said
    assert arrays(tmp_path / "workers") == arrays(tmp_path / "alone")
    assert processes.alive() == []
