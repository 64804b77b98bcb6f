import json

import numpy as np
import pytest

from stillhouse.data.archive import write_npz
from stillhouse.data.transforms import Identity
from stillhouse.networks.pool import Pool
from stillhouse.networks.pool_writer import PoolWriter


@pytest.fixture
def folder(info, trained, tmp_path):
    writer = PoolWriter(tmp_path / "pool", info, 2)
    with writer.opened(Identity()):
        for index in range(2):
            writer.add(index, *trained(index))
    return tmp_path / "pool"


def test_a_pool_is_read_as_it_was_written(folder, info, trained):
    pool = Pool(folder)
    assert (len(pool), pool.info, pool.transform) == (2, info, Identity())
    np.testing.assert_allclose(pool.accuracies, [0.9, 0.91])
    assert [member.seed for member in pool.members] == [7, 8]
    assert pool.steps == (0, 3, 5)
    weights, _, along = trained(1)
    np.testing.assert_array_equal(pool.weights(1), weights)
    for step, expected in zip(pool.steps, along, strict=True):
        np.testing.assert_array_equal(pool.weights(1, step), expected)


def test_its_weights_are_those_of_its_network(folder, trained):
    pool = Pool(folder)
    params, state = pool.network.unpack(pool.weights(0))
    np.testing.assert_array_equal(pool.network.pack(params, state), trained(0)[0])
    with np.load(folder / "network-0000.npz") as archive:  # Named, and as PyTorch shapes them.
        assert archive["layers.1.weight"].shape == (3, 4)
        assert archive["layers.3.weight"].shape == (2, 3)


def test_the_record_says_mean_and_deviation(folder):
    record = json.loads((folder / "pool.json").read_text())
    assert record["test_accuracy"] == pytest.approx(0.905)
    assert record["test_accuracy_std"] == pytest.approx(np.std([0.9, 0.91], ddof=1))
    assert record["finished"] is True and "jax" in record["software"]


def test_the_fingerprint_goes_with_the_weights(folder, trained):
    before = Pool(folder).fingerprint
    assert before == Pool(folder).fingerprint and len(before) == 64
    with np.load(folder / "network-0001.npz") as archive:
        weights = dict(archive)
    weights["layers.1.bias"] = weights["layers.1.bias"] + 1
    write_npz(folder / "network-0001.npz", weights)
    assert Pool(folder).fingerprint != before


def test_what_is_not_there_is_named(folder):
    pool = Pool(folder)
    with pytest.raises(IndexError, match="networks 0 to 1, not 2"):
        pool.weights(2)
    with pytest.raises(ValueError, match=r"no snapshot after 4 steps; it has \(0, 3, 5\)"):
        pool.weights(0, 4)


def test_an_unfinished_pool_says_how_it_goes_on(info, trained, tmp_path):
    writer = PoolWriter(tmp_path, info, 2)
    with writer.opened(Identity()):
        writer.add(0, *trained(0))
    with pytest.raises(ValueError, match="holds 1 of 2 networks; give the command"):
        Pool(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read as a pool's"),
        ("[]", "cannot be read as a pool's"),
        ('{"format_version": 1}', "cannot be read as a pool's"),
        ('{"format_version": 99}', "newer Stillhouse"),
    ],
)
def test_a_damaged_record_is_refused(folder, text, says):
    (folder / "pool.json").write_text(text)
    with pytest.raises(ValueError, match=says):
        Pool(folder)


def test_a_folder_without_a_pool_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no pool"):
        Pool(tmp_path)
    with pytest.raises(ValueError, match="there is no pool .*nowhere; .* --out=.*nowhere` makes"):
        Pool(tmp_path / "nowhere")


def test_weights_of_another_network_are_refused(folder):
    write_npz(folder / "network-0000.npz", {"layers.1.weight": np.zeros((9, 4), np.float32)})
    with pytest.raises(ValueError, match="no array named|must be float32"):
        Pool(folder).weights(0)
