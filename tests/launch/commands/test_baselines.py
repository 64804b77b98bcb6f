import json

import pytest

from stillhouse.launch.commands import baselines, pretrain

SMALL = ("--network=mlp", "--width=8", "--distill_steps=2", "--draws=3", "--candidates=3",
         "--rates=0.05,0.3")  # fmt: skip


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Leave the threads of this process as they are."""
    for module in (baselines, pretrain):
        monkeypatch.setattr(module, "use_threads", lambda threads: None)


def test_it_prints_a_table_and_json_of_the_same(stillhouse, spots):
    flags = ("baselines", f"--dataset={spots}", *SMALL)
    told = stillhouse(*flags)
    assert told.code == 0, told.err
    assert told.out.count("gradient steps") == 4 and told.out.count("nearest neighbours") == 2
    assert "6 images of spots, 2 steps x 3 epochs of a mlp of width 8" in told.out
    found = json.loads(stillhouse(*flags, "--json").out)
    rows = {(row["kind"], row["way"]): row for row in found["baselines"]}
    for kind in ("random", "optimised", "kmeans", "average"):
        row = rows[kind, "gradient steps"]
        assert len(row["accuracies"]) == 3 and row["chosen"] in (0.05, 0.3)
        assert f"{row['mean']:.4f} +- {row['deviation']:.4f}" in told.out
    assert rows["kmeans", "nearest neighbours"]["mean"] > 0.9
    assert rows["average", "gradient steps"]["mean"] > 0.4


def test_steps_may_start_from_a_pool(stillhouse, refused, spots, tmp_path):
    made = ("--network=mlp", "--width=8", "--epochs=3", "--batch_size=24", "--networks=2")
    assert stillhouse("pretrain", f"--dataset={spots}", *made, "--out=pool").code == 0
    flags = ("baselines", f"--dataset={spots}", *SMALL, "--kinds=random", "--pool=pool")
    found = json.loads(stillhouse(*flags, "--json").out)["baselines"]
    assert found[0]["mean"] > 0.5
    wide = [flag for flag in flags if flag != "--width=8"]
    assert "`--pool`: the network of the pool" in refused(*wide, "--width=9")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--kinds=best"], "`--kinds` must be some of random, optimised, kmeans, average"),
        (["--rates=0"], "`--rates` must be positive numbers"),
        (["--ipc=90"], "needs 180 images of each class"),
        (["--network=lenet", "--width=8"], "lenet has no `width` to set"),
        (["--pool=nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(refused, spots, flags, says):
    assert says in refused("baselines", f"--dataset={spots}", *SMALL, *flags)
