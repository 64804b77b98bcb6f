import csv
import json

import numpy as np
import pytest

from stillhouse.analysis.comparison import judging

QUICK = (
    *("--networks=mlp", "--width=8", "--steps=20", "--seeds=2", "--learning_rate=0.1"),
    *("--kernels=fc:1", "--out=both"),
)


@pytest.fixture
def second(stillhouse, spots, tmp_path):
    """A set of another method and transform."""
    flags = (
        "--method=dm",
        "--network=mlp",
        "--width=8",
        "--depth=1",
        "--steps=2",
        "--augment=crop",
    )
    made = ("--target_batch=30", "--recipe_steps=5", "--transform=none", "--learning_rate=0.01")
    assert stillhouse("distill", f"--dataset={spots}", *flags, *made, "--out=second").code == 0
    return tmp_path / "second"


def test_sets_of_any_method_are_judged_alike_each_in_its_own_transform(
    stillhouse, finished, second, tmp_path
):
    result = stillhouse("compare", finished, second, *QUICK)
    assert result.code == 0, result.err
    head, *lines = result.out.splitlines()
    assert head.split()[:4] == ["set", "images", "bytes", "seconds"]
    # Beside each space stand real images of its size.
    names = ["spots", "second", "random real, 3, standardise", "k-means, 3, standardise",
             "random real, 3, none", "k-means, 3, none"]  # fmt: skip
    assert [line[: len(name)] for line, name in zip(lines, names, strict=False)] == names
    found = json.loads((tmp_path / "both/comparison.json").read_text())
    assert [one["transform"] for one in found["sets"][:2]] == ["standardise", "none"]
    assert [one["method"] for one in found["sets"][:2]] == ["kip", "dm"]
    assert found["sets"][0]["seconds"] > 0 and found["sets"][2]["seconds"] is None
    assert found["sets"][0]["accuracies"]["mlp"]["draws"] == 2
    own = json.loads(
        stillhouse("evaluate", finished, "--architecture=fc", "--depth=1", "--json").out
    )
    krr = found["sets"][0]["accuracies"]["KRR fc:1:ntk"]
    assert krr["mean"] == pytest.approx(own["test_accuracy"]) and krr["deviation"] is None
    assert found["sets"][2]["accuracies"]["KRR fc:1:ntk"]["draws"] == 2
    assert len(list(csv.reader((tmp_path / "both/comparison.csv").read_text().splitlines()))) == 7
    page = (tmp_path / "both/comparison.html").read_text()
    assert "stillhouse compare" in page and "--width=8" in page


def test_nothing_is_judged_twice(stillhouse, finished, tmp_path, monkeypatch):
    flags = (*QUICK, "--baseline=random", "--json")
    first = stillhouse("compare", finished, *flags)
    judged = json.loads((tmp_path / "both/judged.json").read_text())
    assert len(judged) == 2 + 1 + 2 + 2  # Networks and kernel on the set, on draws of real images.

    def again(*arguments):
        raise AssertionError("judged again")

    monkeypatch.setattr(judging.KernelJudge, "accuracy", again)
    monkeypatch.setattr(judging.NetworkJudge, "accuracy", again)
    assert stillhouse("compare", finished, *flags).out == first.out


def test_a_folder_of_runs_stands_for_them_and_a_foreign_set_needs_a_transform(
    stillhouse, refused, finished, spots, tmp_path
):
    with np.load(finished / "distilled.npz") as distilled:
        np.savez("foreign.npz", images=distilled["images"], labels=distilled["labels"])
    flags = ("--networks=none", "--kernels=fc:1", "--baseline=none", "--out=both", "--json")
    says = refused("compare", finished.parent, "foreign.npz", f"--dataset={spots}", *flags)
    assert "give --transform" in says
    result = stillhouse(
        "compare", finished.parent, "foreign.npz", f"--dataset={spots}", "--transform=standardise",
        *flags,
    )  # fmt: skip
    sets = json.loads(result.out)["sets"]
    assert [one["set"] for one in sets] == ["spots", "foreign.npz"]
    accuracies = [one["accuracies"]["KRR fc:1:ntk"]["mean"] for one in sets]
    assert accuracies[0] == accuracies[1]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--networks=convnet,perceptron"], "`--networks` must be none, or some of convnet, mlp"),
        (["--networks=none", "--kernels=none"], "name one judge"),
        (["--kernels=own"], "own is each set's"),
        (["--networks=convnet"], "6 x 6 pixels are too small for convnet"),
        (["--baseline=best"], "`--baseline` must be none, or some of random, kmeans, average"),
        (["--dataset=digits"], "digits are 8 x 8 x 1"),
        (["--augment=colour"], "did you mean color?"),
        (["--out=taken"], "taken: not a folder"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, finished, tmp_path, flags, says):
    (tmp_path / "taken").write_text("a file")
    assert says in refused("compare", finished, *flags)


def test_sets_are_asked_for(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "SET is missing" in refused("compare")
    assert "holds no set" in refused("compare", "empty")
