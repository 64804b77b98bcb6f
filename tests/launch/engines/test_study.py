"""Tables of studies are the same to the bit, whoever trains the networks: in real processes."""

import json

import numpy as np
import pytest

from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.sources import load_dataset
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.coresets import random_subset
from stillhouse.networks import NetworkSpec
from stillhouse.networks.pool import PoolInfo
from stillhouse.networks.pool_writer import PoolWriter
from stillhouse.networks.training_spec import TrainingSpec

SMALL = ("--only=mixing", "--networks=2", "--steps=20", "--real=0,2", "--test_images=100")


@pytest.mark.parametrize("engine", ["launchpad", "ray"])
def test_two_workers_make_the_table_of_one_process(processes, tmp_path, engine):
    pytest.importorskip(engine, reason=f"needs {engine}")
    digits = load_dataset("digits")
    transform = fit_transform("standardise", digits.x_train)
    x, y = random_subset(digits.x_train, digits.y_train, 20, num_classes=10, seed=0)
    DistilledSet(transform.apply(x), centred_one_hot(y, 10), transform).save(tmp_path / "set.npz")
    # The pool only says which network is trained: its own need no training.
    spec, images = NetworkSpec("mlp", width=8, depth=1), len(digits.y_train)
    info = PoolInfo(spec, TrainingSpec(), digits.info(), "standardise", (), images, 0)
    writer, network = PoolWriter(tmp_path / "pool", info, 1), info.build()
    with writer.opened(transform):
        start = network.pack(*network.init(0))
        writer.add(0, start, np.array([0.1, 0.1, 2.3]), np.empty((0, network.size), np.float32))
    command = ("study", "set.npz", "--dataset=digits", "--pool=pool", *SMALL)
    for flags in ((f"--engine={engine}", "--workers=2", "--out=two"), ("--out=one",)):
        run = processes.start(*command, *flags)
        assert run.wait() == 0, run.said
    assert (tmp_path / "two/study.html").exists()
    tables = [json.loads((tmp_path / out / "mixing.json").read_text()) for out in ("two", "one")]
    assert tables[0]["table"] == tables[1]["table"]
    assert processes.alive() == []
