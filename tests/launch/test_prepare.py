"""What can be wrong with settings is found before any work, in one line."""

import os
import re

import numpy as np
import pytest

from stillhouse.kernels.cuda import missing_reason
from stillhouse.launch import prepare as module
from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.run import (
    ComputeConfig,
    DataConfig,
    DistillConfig,
    MethodConfig,
    RunConfig,
    SupportConfig,
)
from stillhouse.methods.kernel_regression.kip_settings import KipSettings
from stillhouse.methods.kernel_regression.label_solve_settings import LabelSolveSettings


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


IMAGES, LABELS = np.zeros((40, 6, 6), np.uint8), np.arange(40) % 4


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--dataset=digit"], "did you mean digits?"),
        (["--dataset=nowhere/data.npz"], "nowhere/data.npz"),
        (["--support_size=7"], "`--support_size`: the support size 7 .* 3 classes; try 6 or 9"),
        (["--ipc=500"], "`--ipc`: .* but class 0 has only"),
        (["--target_batch=100000"], "`--target_batch`: .* ask for 192 at most"),
        (["--architecture=convnet", "--depth=4"], "images of 6 x 6 pixels are too small"),
        (["--architecture=fc", "--global_pool"], "global_pool"),
        (["--architecture=myrtle", "--depth=4"], r"\[5, 7, 10\]"),
        (["--ipc=1", "--support_size=3"], "take each other's place"),
        (["--method=label_solve", "--steps=4"], "--steps"),
        (["--out=/dev/null"], "/dev/null: is a file"),
    ],
)
def test_a_wrong_setting(refused, spots, flags, says):
    network = [] if any("--architecture" in flag for flag in flags) else ["--architecture=fc"]
    assert re.search(says, refused("distill", f"--dataset={spots}", *network, *flags))


@pytest.mark.parametrize(
    ("name", "arrays", "says"),
    [
        ("sizes", {"images": IMAGES, "labels": LABELS[:39]}, "40 images"),
        ("fractions", {"images": IMAGES, "labels": LABELS + 0.5}, "label"),
        ("nan", {"images": IMAGES + np.nan, "labels": LABELS}, "NaN|finite"),
        ("constant", {"images": IMAGES * 0, "labels": LABELS}, "all train images are the s"),
        ("flat", {"images": IMAGES.reshape(40, -1), "labels": LABELS}, "reshape"),
        ("keys", {"pictures": IMAGES}, "images"),
    ],
)
def test_a_wrong_dataset(refused, tmp_path, name, arrays, says):
    path = npz(tmp_path / f"{name}.npz", **arrays)
    error = refused("distill", f"--dataset={path}", "--architecture=fc")
    assert re.search(says, error)


def test_a_damaged_dataset(refused, spots, tmp_path):
    path = tmp_path / "cut.npz"
    path.write_bytes(spots.read_bytes()[:500])
    assert "cut.npz" in refused("distill", f"--dataset={path}")


def test_too_little_memory_says_what_to_change(refused, spots, monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 10**8)
    error = refused("distill", f"--dataset={spots}", "--architecture=fc")
    assert "needs about" in error and "0.10 GB are available" in error


def test_a_folder_that_cannot_be_written(refused, spots, monkeypatch):
    real = os.access
    monkeypatch.setattr("os.access", lambda path, mode: mode != 3 and real(path, mode))
    assert "no permission to write" in refused("distill", f"--dataset={spots}", "--out=x")


def test_a_folder_of_other_things(refused, spots, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    assert "holds no run" in refused("distill", f"--dataset={spots}", "--out=thesis")


def test_a_full_disk(refused, spots, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert "MB are free" in refused("distill", f"--dataset={spots}", "--architecture=fc")


def test_what_is_not_given_is_worked_out(spots, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = prepare(DistillConfig(data=DataConfig(dataset=str(spots)), own=KipSettings("fc")))
    assert (job.support_size, job.targets) == (3, 100)  # of 192
    assert str(job.folder.path) == "runs/spots-kip-fc1-3"
    assert job.config.own.learns_through() == ("fc:1",)
    assert job.schedule.steps == 1000
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(missing_reason() is None, reason="there is a GPU here")
def test_a_server_of_gpus_needs_none(spots, tmp_path):
    config = DistillConfig(
        data=DataConfig(dataset=str(spots)),
        compute=ComputeConfig("cuda"),
        run=RunConfig(out=str(tmp_path / "run")),
        own=KipSettings("convnet", depth=1),
    )
    assert prepare(config, elsewhere=True).backend == "cuda"
    with pytest.raises(ValueError, match="cuda backend"):
        prepare(config)


def test_the_steps_of_label_solve_are_its_chunks(spots, tmp_path):
    config = DistillConfig(
        data=DataConfig(dataset=str(spots)),
        method=MethodConfig("label_solve"),
        own=LabelSolveSettings("fc", target_batch=50),
        run=RunConfig(out=str(tmp_path / "run")),
    )
    assert prepare(config).schedule.steps == 4  # of 192 images


def test_an_ensemble_is_several_kernels():
    kernels = KipSettings(ensemble=("fc:2", "conv:2", "myrtle"), global_pool=True).kernels()
    assert list(kernels) == ["fc:2", "conv:2", "myrtle:5"]
    readouts = [type(spec.architecture.readout).__name__ for spec in kernels.values()]
    assert readouts == ["Flatten", "GlobalAvgPool", "GlobalAvgPool"]


def identity(spots, tmp_path, **groups):
    run = RunConfig(**{"out": str(tmp_path / "run"), **groups.pop("run", {})})
    own = KipSettings("fc", **groups.pop("own", {}))
    data = groups.pop("data", DataConfig(dataset=str(spots)))
    return prepare(DistillConfig(run=run, own=own, data=data, **groups)).identity


def test_a_run_is_the_same_whatever_does_not_change_its_bits(spots, tmp_path):
    same = identity(spots, tmp_path)
    (tmp_path / "moved.npz").write_bytes(spots.read_bytes())
    for groups in (
        {"run": {"checkpoint_every": 7, "eval_every": 3}},
        {"support": SupportConfig(support_size=3)},
        {"own": {"target_batch": 100}},
        {"data": DataConfig(dataset=str(tmp_path / "moved.npz"))},
        {"own": {"flip": False}},
        {"own": {"coordinates": "pixel"}},
    ):
        assert identity(spots, tmp_path, **groups) == same


def test_a_run_is_another_where_its_bits_change(spots, tmp_path):
    same = identity(spots, tmp_path)
    with np.load(spots) as archive:
        images = archive["images"].copy()
        images[0, 0, 0] ^= 1
        npz(tmp_path / "other.npz", images=images, labels=archive["labels"])
    for groups, changed in (
        ({"method": MethodConfig(seed=1)}, "seed"),
        ({"own": {"steps": 4}}, "steps"),
        ({"support": SupportConfig(init="noise")}, "init"),
        ({"data": DataConfig(dataset=str(spots), transform="zca")}, "transform"),
        ({"data": DataConfig(dataset=str(tmp_path / "other.npz"))}, "dataset"),
        ({"own": {"coordinates": "dct"}}, "coordinates"),
    ):
        other = identity(spots, tmp_path, **groups)
        assert {name for name in other if same.get(name) != other[name]} == {changed}
