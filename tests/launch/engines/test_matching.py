"""A set is the same to the bit, matched by one process or by workers: in real processes."""

import numpy as np
import pytest

SMALL = (
    *("--network=mlp", "--width=8", "--depth=1", "--steps=6", "--target_batch=200", "--ipc=2"),
    *("--networks=2", "--task_images=100", "--outer_steps=2", "--inner_steps=3"),
    *("--recipe_steps=10", "--recipe_networks=2", "--checkpoint_every=2"),
)


def test_workers_and_one_process_match_gradients_alike(processes, tmp_path, bits):
    pytest.importorskip("launchpad", reason="needs launchpad")
    flags = ("distill", "--method=dsa", "--dataset=digits", *SMALL)
    workers = ("--engine=launchpad", "--workers=2", "--heartbeat=0.5")
    runs = [
        processes.start(*flags, *workers, "--out=many"),
        processes.start(*flags, "--out=one"),
    ]
    for run in runs:
        assert run.wait() == 0, run.said
    many, one = (bits(tmp_path / name) for name in ("many", "one"))
    assert many[0] == one[0]
    assert many[2]["test_accuracy"] == one[2]["test_accuracy"]
    with np.load(tmp_path / "one" / "distilled.npz") as arrays:
        assert arrays["images"].shape == (20, 8, 8, 1)
