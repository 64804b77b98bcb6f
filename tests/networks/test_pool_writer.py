import dataclasses
import json

import numpy as np
import pytest

from stillhouse.data.transforms import Identity
from stillhouse.networks.pool import Pool
from stillhouse.networks.pool_writer import PoolWriter


def test_a_pool_goes_on_with_what_is_missing_and_grows(info, trained, tmp_path):
    first = PoolWriter(tmp_path / "a" / "pool", info, 3)
    assert first.missing() == [0, 1, 2]
    with first.opened(Identity()):
        first.add(1, *trained(1))
    assert first.missing() == [0, 2]
    assert json.loads((first.path / "pool.json").read_text())["finished"] is False
    with first.opened(Identity()):
        for index in first.missing():
            first.add(index, *trained(index))
    larger = PoolWriter(first.path, info, 4)
    larger.check()
    with larger.opened(Identity()):
        assert larger.missing() == [3]
        larger.add(3, *trained(3))
    pool = Pool(first.path)
    assert len(pool) == 4
    for index in range(4):
        np.testing.assert_array_equal(pool.weights(index), trained(index)[0])
    with pytest.raises(ValueError, match="a pool of 4 networks and `--networks` says 2"):
        PoolWriter(first.path, info, 2).check()


def test_another_pool_is_refused_with_what_differs(info, trained, tmp_path):
    with PoolWriter(tmp_path, info, 1).opened(Identity()):
        pass
    other = dataclasses.replace(info, seed=8)
    with pytest.raises(ValueError, match="another pool: `seed` is 7 there and 8 here; give anoth"):
        PoolWriter(tmp_path, other, 1).check()
    renamed = dataclasses.replace(info, dataset=dataclasses.replace(info.dataset, name="dots"))
    PoolWriter(tmp_path, renamed, 1).check()  # The same images are the same dataset.


def test_other_files_are_left_alone(info, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not empty and holds no pool"):
        PoolWriter(tmp_path, info, 1).check()
    with pytest.raises(NotADirectoryError):
        PoolWriter(tmp_path / "thesis.tex", info, 1).check()
    with pytest.raises(ValueError, match="writes about|takes about"):
        PoolWriter(tmp_path / "new", info, 1).check(bytes_needed=2**60)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_processes_do_not_write_in_one_pool(info, tmp_path):
    with PoolWriter(tmp_path, info, 1).opened(Identity()):
        with pytest.raises(ValueError, match="another process is writing"):
            with PoolWriter(tmp_path, info, 1).opened(Identity()):
                pass


def test_a_network_without_its_own_file_is_not_there_and_leftovers_go(info, trained, tmp_path):
    writer = PoolWriter(tmp_path, info, 1)
    with writer.opened(Identity()):
        writer.add(0, *trained(0))
    (tmp_path / "network-0000.npz").unlink()  # As where it was killed after the snapshots.
    (tmp_path / "network-0000" / ".step-000003.npz.1.ab.tmp").write_bytes(b"half")
    with writer.opened(Identity()):
        assert writer.missing() == [0]
        writer.add(0, *trained(0))
    assert sorted(path.name for path in (tmp_path / "network-0000").iterdir()) == [
        "step-000000.npz",
        "step-000003.npz",
        "step-000005.npz",
    ]
