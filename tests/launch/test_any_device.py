"""A run that goes on on another kind of device than it began on."""

import dataclasses
import re
import shutil

import pytest

from stillhouse.data.distilled import load
from stillhouse.methods.computing_kind import in_brief
from stillhouse.methods.device_kind import device_kind
from stillhouse.server.checkpoints import CheckpointStore

OTHER = "fused on cpu: another model"
HERE = f"fused on {device_kind('cpu')}"


@pytest.fixture
def begun_elsewhere(finished, tmp_path):
    """The folder of a run whose checkpoint of step 8 is of another kind of device."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for name in ("result.json", "distilled.npz", "checkpoints/step-000012.npz"):
        (folder / name).unlink()
    store = CheckpointStore(folder / "checkpoints")
    saved = store.latest()
    assert saved.step == 8 and in_brief(saved.meta["computed_by"][0]) == HERE
    store.save(dataclasses.replace(saved, meta={**saved.meta, "computed_by": [OTHER]}))
    return folder


def test_a_run_is_not_mixed_unasked(refused, small, begun_elsewhere):
    line = refused("distill", *small, f"--out={begun_elsewhere}")
    assert "the run computes on cpu: another model, this process on cpu: " in line
    assert "--any_device" in line


def test_asked_to_it_says_so_wherever_one_looks(stillhouse, small, begun_elsewhere):
    result = stillhouse("distill", *small, f"--out={begun_elsewhere}", "--any_device")
    assert result.code == 0, result.err
    card = load(begun_elsewhere / "distilled.npz").card
    assert [in_brief(kind) for kind in card.computed_by] == [OTHER, HERE]
    assert "any_device" not in card.config
    assert "can not be repeated" in (begun_elsewhere / "log.txt").read_text()
    status = stillhouse("status", begun_elsewhere).out.splitlines()[-1]
    assert status == f"computed by {OTHER}, and by {HERE}; its bits can not be repeated"


def test_what_the_server_computes_itself_is_of_one_kind_too(
    refused, stillhouse, small, begun_elsewhere
):
    store = CheckpointStore(begun_elsewhere / "checkpoints")
    saved = store.latest()
    (served,) = saved.meta["served_by"]
    threads = re.search(r"BLAS threads: \d+", served)[0]
    other = served.replace(threads, "BLAS threads: 64")
    meta = {**saved.meta, "computed_by": [], "served_by": [other]}
    store.save(dataclasses.replace(saved, meta=meta))
    line = refused("distill", *small, f"--out={begun_elsewhere}")
    assert f"with BLAS threads: 64, this process with {threads}, whose" in line
    assert "OPENBLAS_NUM_THREADS" in line and "--any_device" in line
    result = stillhouse("distill", *small, f"--out={begun_elsewhere}", "--any_device")
    assert result.code == 0, result.err
    by = load(begun_elsewhere / "distilled.npz").card.computed_by
    assert by[1:] == (other, served) and in_brief(by[0]) == HERE
    assert (
        f"{in_brief(served)} with {threads}; its bits" in stillhouse("status", begun_elsewhere).out
    )
