import dataclasses
import json
import shlex

import numpy as np
import pytest

from stillhouse.analysis.studies import pixels, recognition
from stillhouse.data.distilled import DistilledSet, load_distilled
from stillhouse.launch.commands import study
from stillhouse.launch.main import main
from stillhouse.launch.settings.flags import parse
from stillhouse.launch.settings.pretrain import PretrainConfig
from stillhouse.methods.algorithm import Interrupted
from stillhouse.networks.pool import Pool

NETWORK = ("--network=mlp", "--width=8", "--depth=1")
TRAINED = (*NETWORK, "--epochs=3", "--batch_size=48", "--networks=3", "--learning_rate=0.02")
QUICK = ("--networks=2", "--steps=5", "--real=0,1,4", "--subsets=2", "--test_images=30",
         "--iterations=12", "--out=study")  # fmt: skip


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """What the process would be given, which is not taken back at the end of a test."""
    monkeypatch.setattr(study, "use_threads", lambda threads: None)


@pytest.fixture(scope="module")
def made(spots, finished, tmp_path_factory):
    """Pools with and without weights along training, and a second set."""
    folder = tmp_path_factory.mktemp("study")
    flags = ("pretrain", f"--dataset={spots}", *TRAINED, "--threads=1")
    assert main([*flags, f"--out={folder / 'along'}", "--trajectories", "--every=1"]) == 0
    assert main([*flags, f"--out={folder / 'plain'}"]) == 0
    one = load_distilled(finished / "distilled.npz")
    other = DistilledSet(1.5 * one.images, one.labels, one.transform, one.card)
    other.save(folder / "second.npz")
    return folder


def test_a_study_leaves_tables_and_a_page_and_is_not_made_again(
    stillhouse, finished, spots, made, tmp_path, monkeypatch
):
    sets, flags = (finished, made / "second.npz"), (f"--dataset={spots}", *QUICK)
    pools = f"--pool={made / 'along'},{made / 'plain'}"
    result = stillhouse("study", *sets, *flags, pools, "--only=recognition")
    assert result.code == 0, result.err
    assert "recognition: " in result.out and "page: study/study.html" in result.out
    record = json.loads((tmp_path / "study/recognition.json").read_text())
    assert record["sizes"] == {"test_images": 30}
    assert [one["name"] for one in record["table"]["sets"]] == ["spots", "second.npz"]
    assert [one[0] for one in record["table"]["networks"]] == ["along", "plain"]

    def again(materials):
        raise AssertionError("made again")

    monkeypatch.setattr(recognition, "compute", again)
    result = stillhouse("study", *sets, *flags, pools, "--only=recognition,pixels,along")
    assert result.code == 0, result.err
    page = (tmp_path / "study/study.html").read_text()
    assert page.count("<img ") == page.count("data:image/png;base64,") == 3
    assert "stillhouse study" in page and "--subsets=2" in page
    assert "http" not in page.replace("http-equiv", "")
    assert not list((tmp_path / "study").glob(".*.tmp"))

    # Another set, pool, seed or size in the same folder is refused.
    for changed, says in [
        ((*reversed(sets), *flags, pools), "holds studies of other sets"),
        ((*sets, *flags, f"--pool={made / 'along'}"), "holds studies of other pools"),
        ((*sets, *flags, pools, "--seed=1"), "holds studies of another seed"),
        ((*sets, *flags, pools, "--test_images=60"), "was made with 30, not 60; delete it"),
    ]:
        refused = stillhouse("study", *changed)
        assert refused.code == 2 and says in refused.err and refused.err.count("\n") == 1


def test_one_that_is_interrupted_begins_again_and_the_others_are_kept(
    stillhouse, finished, spots, made, tmp_path
):
    command = ("study", finished, f"--dataset={spots}", f"--pool={made / 'plain'}", *QUICK)
    command = (*command, "--only=recognition,pixels")

    def stopped(materials):
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "compute", stopped)
        result = stillhouse(*command)
    assert result.code == 1 and "1 of 2 studies are in study; the same command" in result.err
    kept = (tmp_path / "study/recognition.json").stat().st_mtime_ns
    assert not (tmp_path / "study/pixels.json").exists()
    assert stillhouse(*command).code == 0
    assert (tmp_path / "study/pixels.json").exists()
    assert (tmp_path / "study/recognition.json").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--only=recogition"], "by recogition, did you mean recognition?"),
        (["--only=recognition,recognition"], "`--only` must be each study once"),
        (["--real=2,0"], "begin with 0"),
        (["--networks=0"], "`--networks` must be"),
        (["--probes=1"], "`--probes` must be a whole number, 2 or more, got 1"),
        (["--kernel=fcc:2"], "such as fc:2 or convnet:3, got 'fcc:2'"),
        (["--dataset=digits", "--only=recognition"], "digits are 8 x 8 x 1"),
    ],
)
def test_wrong_settings_are_one_line(refused, finished, flags, says):
    assert says in refused("study", finished, *flags)


def test_what_is_missing_is_named_with_the_command_that_makes_it(
    refused, stillhouse, finished, spots, made, tmp_path
):
    second = made / "second.npz"
    says = refused("study", finished, "--pool=x", "--only=recognition,agreement")
    assert "agreement compares sets, and takes 2 at least, got 1" in says
    assert "--only=recognition,pixels,mixing,along" in says
    says = refused("study", finished, second, "--only=recognition")
    assert f"first: stillhouse pretrain --dataset={spots} --width=32 --norm=instance" in says
    says = refused("study", finished, second, "--only=along", f"--pool={made / 'plain'}")
    assert "has no weights along the way" in says
    command = says.split("first: ")[1]
    assert f"--out={made / 'plain'}-along" in command and "--networks=3" in command
    assert "--width=8" in command and "--trajectories --every=5" in command
    # It is the command of a pool like that one, but for the weights along the way.
    config, _ = parse(PretrainConfig, shlex.split(command)[2:])
    info = Pool(made / "plain").info
    assert config.network.spec == info.network and config.data.transform == info.transform
    assert config.training_spec == dataclasses.replace(info.training, every=5)
    says = refused("study", finished, second, "--only=along", "--pool=nowhere")
    assert "nowhere holds no pool; train one first: stillhouse pretrain" in says


def test_a_pool_of_other_images_and_a_set_without_a_transform_are_refused(
    refused, finished, spots, made, tmp_path
):
    one = load_distilled(finished / "distilled.npz")
    np.savez("bare.npz", images=one.images, labels=one.labels)
    pool = f"--pool={made / 'plain'}"
    says = refused("study", "bare.npz", f"--dataset={spots}", pool, "--only=recognition")
    assert "carries no transform, and the networks of" in says and "through standardise" in says
    assert "--transform=none" in says.split("first: ")[1]
    with np.load(spots) as archive:
        images, labels = archive["images"], archive["labels"]
    np.savez("others.npz", images=255 - images, labels=labels)
    says = refused("study", finished, "--dataset=others.npz", pool, "--only=recognition")
    assert "was trained on another dataset (spots" in says
    assert "stillhouse pretrain --dataset=others.npz" in says
    np.savez("small.npz", images=one.images[:, :4, :4], labels=one.labels)
    says = refused("study", finished, "small.npz", f"--dataset={spots}", pool, "--only=recognition")
    assert "small.npz has images of 4 x 4 x 1 in 3 classes" in says
    np.savez("two.npz", images=one.images, labels=one.labels[:, :2])
    says = refused("study", finished, "two.npz", f"--dataset={spots}", pool, "--only=recognition")
    assert "two.npz has images of 6 x 6 x 1 in 2 classes" in says


def test_a_set_without_a_transform_may_be_told_one(stillhouse, finished, spots, made, tmp_path):
    one = load_distilled(finished / "distilled.npz")
    np.savez("bare.npz", images=one.images, labels=one.labels)
    flags = (f"--dataset={spots}", f"--pool={made / 'plain'}", "--only=recognition")
    result = stillhouse("study", finished, "bare.npz", *flags, "--transform=standardise")
    assert result.code == 0, result.err
    own, told = json.loads((tmp_path / "study/recognition.json").read_text())["table"]["sets"]
    assert own["judged"] == told["judged"]


def test_single_images_curvature_maps_and_kernels_are_on_one_page(
    stillhouse, finished, spots, made, tmp_path
):
    flags = (f"--dataset={spots}", f"--pool={made / 'along'}", "--steps=5", "--test_images=30")
    flags += ("--iterations=6", "--probes=2", "--curvature_points=2", "--curvature_images=6")
    flags += ("--top_eigenvalue", "--influence_functions", "--kernel=fc:1", "--out=study")
    names = ("curvature", "influence", "semantics", "map", "dimension", "spectrum")
    result = stillhouse("study", finished, *flags, f"--only={','.join(names)}")
    assert result.code == 0, result.err
    page = (tmp_path / "study/study.html").read_text()
    for name in names:
        assert json.loads((tmp_path / f"study/{name}.json").read_text())["table"]
        assert f'id="{name}"' in page
    assert page.count("<img ") == page.count("data:image/png;base64,") >= 5
