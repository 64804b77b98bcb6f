import json

import numpy as np
import pytest

from stillhouse.launch.commands import pretrain
from stillhouse.networks import memory
from stillhouse.networks.pool import Pool

SMALL = ("--network=mlp", "--width=8", "--depth=1", "--epochs=2", "--batch_size=48")


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """What the process would be given, which is not taken back at the end of a test."""
    given = []
    monkeypatch.setattr(pretrain, "use_threads", given.append)
    return given


def test_it_leaves_a_pool_and_says_how_good_it_is(stillhouse, spots, tmp_path, threads):
    flags = (f"--dataset={spots}", *SMALL, "--networks=3", "--seed=5", "--out=new/pool")
    result = stillhouse("pretrain", *flags)
    assert result.code == 0, result.err
    pool = Pool(tmp_path / "new/pool")
    assert [member.seed for member in pool.members] == [5, 6, 7]
    assert pool.steps == () and pool.transform.kind == "standardise"
    mean, deviation = np.mean(pool.accuracies), np.std(pool.accuracies, ddof=1)
    assert f"test accuracy {mean:.4f} +- {deviation:.4f}: 3 networks mlp of width 8" in result.out
    assert "on 192 images of spots" in result.out
    assert "3 networks" in (tmp_path / "new/pool/log.txt").read_text()
    assert threads == [1]


def test_given_again_it_does_nothing_and_with_more_networks_it_goes_on(stillhouse, spots, tmp_path):
    flags = (f"--dataset={spots}", *SMALL, "--trajectories", "--every=3", "--out=pool")
    assert stillhouse("pretrain", *flags, "--networks=1").code == 0
    first = (tmp_path / "pool/network-0000.npz").stat().st_mtime_ns
    again = stillhouse("pretrain", *flags, "--networks=1")
    assert again.code == 0 and "finished: nothing to do" in again.out
    assert "each with 4 snapshots" in again.out
    assert stillhouse("pretrain", *flags, "--networks=2").code == 0
    assert (tmp_path / "pool/network-0000.npz").stat().st_mtime_ns == first
    pool = Pool(tmp_path / "pool")
    assert len(pool) == 2 and pool.steps == (0, 3, 6, 8)
    np.testing.assert_array_equal(pool.weights(1, 8), pool.weights(1))


def test_classes_and_fractions_are_what_networks_see(stillhouse, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = rng.random((300, 4, 4)) + y[:, None, None]
    names = np.array(["low", "mid", "high"])
    np.savez(tmp_path / "steps.npz", images=x, labels=y, class_names=names)
    flags = (
        "--dataset=steps.npz",
        *SMALL,
        "--networks=2",
        "--fraction=0.5",
        "--epochs=40",
        "--out=pool",
    )
    result = stillhouse("pretrain", *flags, "--classes=high,low")
    assert result.code == 0, result.err
    pool = Pool(tmp_path / "pool")
    # 80 training images of each class, and half of them of two.
    assert (pool.info.classes, pool.info.train_images) == ((0, 2), 80)
    assert pool.network.layout[-1][1] == (3,)  # It could still say the third.
    params, state = pool.network.unpack(pool.weights(0))
    seen = pool.transform.apply(x[..., None].astype(np.float32))
    answers = np.asarray(pool.network.apply(params, state, seen, training=False)[0]).argmax(axis=1)
    assert np.mean(answers[y != 1] == y[y != 1]) > 0.8
    other = stillhouse("pretrain", *flags[:-1], "--classes=low,1", "--out=other")
    assert "`--classes`: steps has no class '1'; it has low, mid, high" in other.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--network=lenet"], "6 x 6 pixels are too small for lenet, which needs 12 x 12"),
        (["--network=vgg11", "--depth=4"], "vgg11 has no `depth` to set, got 4"),
        (["--every=5"], "`--every` needs `--trajectories`"),
        (["--trajectories", "--every=0"], "`--every` must be epoch, or a number of steps"),
        (["--fraction=0"], "`--fraction` must be above 0 and up to 1"),
        (["--classes=7,8"], "has no class '7'"),
        (["--classes=1"], "two classes or more"),
        (["--epochs=0"], "`--epochs`"),
        (["--dataset=nonsense"], "unknown dataset"),
        (["--out=taken/pool"], "taken: is a file, not a folder"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, spots, tmp_path, flags, says):
    (tmp_path / "taken").write_text("a file")
    network = () if any("network" in flag for flag in flags) else SMALL
    dataset = () if any("dataset" in flag for flag in flags) else (f"--dataset={spots}",)
    assert says in refused("pretrain", *dataset, *network, *flags)


def test_a_batch_that_the_device_cannot_hold_is_refused_before_a_step(refused, spots, monkeypatch):
    monkeypatch.setattr(memory, "given_bytes", lambda: 1000)
    said = refused("pretrain", f"--dataset={spots}", *SMALL, "--out=pool")
    assert "a batch of 48 images takes" in said and "use a smaller network" in said


def test_the_folder_of_another_pool_is_refused(stillhouse, refused, spots):
    flags = (f"--dataset={spots}", *SMALL, "--networks=1", "--out=pool")
    assert stillhouse("pretrain", *flags).code == 0
    assert "`training` is " in refused("pretrain", *flags, "--learning_rate=0.1")


def test_training_that_diverges_says_so_and_keeps_what_there_is(stillhouse, spots, tmp_path):
    flags = (f"--dataset={spots}", *SMALL, "--optimiser=sgd", "--learning_rate=1e30", "--out=pool")
    result = stillhouse("pretrain", *flags)
    assert result.code == 1
    assert "try a lower learning rate than 1e+30" in result.err
    assert "0 of 8 networks are in pool" in result.err and "Traceback" not in result.err
    assert json.loads((tmp_path / "pool/pool.json").read_text())["members"] == []


def test_a_plan_says_what_it_costs_and_writes_nothing(stillhouse, spots, tmp_path):
    flags = (f"--dataset={spots}", *SMALL, "--networks=3", "--out=pool")
    plan = json.loads(stillhouse("pretrain", *flags, "--plan", "--json", "--workers=2").out)
    # Eight steps of 48 images, and a third of a pass for each of 48 test images.
    assert (plan["networks"], plan["steps"], plan["passes"]) == (3, 8, 3 * (8 * 48 + 16))
    assert plan["memory_bytes"] == sum(plan["memory"].values())
    assert plan["seconds"] + 1e-3 >= 2 * plan["seconds_per_network"] > 0
    assert list(tmp_path.iterdir()) == []
    told = stillhouse("pretrain", *flags, "--plan").out
    assert "passes" in told and "memory" in told and "s a network of 8 steps" in told
    assert stillhouse("pretrain", *flags).code == 0
    assert sum(f.stat().st_size for f in tmp_path.rglob("network-*.npz")) >= plan["disk_bytes"]


def test_json_is_for_plans(refused):
    assert "`--json` needs `--plan`" in refused("pretrain", "--json")
