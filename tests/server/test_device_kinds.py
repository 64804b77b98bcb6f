import logging

import numpy as np
import pytest

from stillhouse.server.checkpoints import Checkpoint, CheckpointStore
from stillhouse.server.device_kinds import DeviceKinds, in_words, kinds_of_folder
from stillhouse.server.requests import Refusal
from stillhouse.server.run_folder import RunFolder

A, B = "xla on NVIDIA A", "xla on NVIDIA B"


def test_the_first_kind_is_the_only_one():
    kinds = DeviceKinds()
    kinds.let_in(A)
    kinds.let_in(A)
    with pytest.raises(Refusal, match="on NVIDIA A, this worker on NVIDIA B"):
        kinds.let_in(B)
    with pytest.raises(Refusal, match="by xla, this process by fused, .* --any_device"):
        kinds.let_in("fused on cpu: C", "this process")
    assert kinds.computed == () and not kinds.all_computed
    kinds.count(A)
    assert kinds.computed == (A,) and kinds.all_computed


def test_a_run_that_goes_on_remembers_its_kind():
    kinds = DeviceKinds([A])
    with pytest.raises(Refusal):
        kinds.let_in(B)
    kinds.let_in(A)
    assert kinds.computed == (A,)


def test_any_may_be_let_in_and_the_log_says_what_that_means(caplog):
    caplog.set_level(logging.INFO)
    kinds = DeviceKinds(any_device=True)
    for kind in (A, B, A):
        kinds.let_in(kind)
    kinds.count(B)
    assert kinds.computed == (B,)
    first, second = caplog.records
    assert first.message == f"this run is computed by {A}"
    assert second.levelno == logging.WARNING
    assert f"computed by {B} too" in second.message and "can not be repeated" in second.message
    assert in_words([A]) == f"computed by {A}"
    assert in_words([A, B]) == f"computed by {A}, and by {B}; its bits can not be repeated"


def test_a_difference_in_a_trait_is_named_and_what_mends_it(caplog):
    ours, theirs = f"{A}; Numba 0.68.1; NumPy 1.26.4", f"{A}; Numba 0.60.0; NumPy 1.26.4"
    kinds = DeviceKinds([ours])
    for _ in range(3):
        with pytest.raises(Refusal) as refusal:
            kinds.let_in(theirs)
    assert str(refusal.value) == (
        "the run computes with Numba 0.68.1, this worker with Numba 0.60.0, whose results differ "
        "in the last bits: install the same version everywhere, or start it with --any_device"
    )
    assert [record.message for record in caplog.records] == [f"refused: {refusal.value}"]
    words = in_words([ours, theirs])
    assert words == f"computed by {A}, and by {A} with Numba 0.60.0; its bits can not be repeated"


def test_what_another_model_computes_alike_counts_as_the_same(caplog):
    kinds = DeviceKinds()
    for model in "AB":
        kinds.let_in(f"fused on cpu: {model}; Numba 0.68.1")
    kinds.count("fused on cpu: B; Numba 0.68.1")
    assert kinds.computed == ("fused on cpu: A; Numba 0.68.1",) and kinds.all_computed


def test_a_run_is_kept_by_one_kind_of_server_too(tmp_path):
    a, b = "server on cpu: A; NumPy 1.26.4", "server on cpu: A; NumPy 2.4.6"
    kinds = DeviceKinds([A], served=[a])
    kinds.serve_on(a)
    with pytest.raises(Refusal, match="with NumPy 1.26.4, this process with NumPy 2.4.6, whose"):
        kinds.serve_on(b)
    assert kinds.computed == (A,)
    kinds = DeviceKinds([A], served=[a], any_device=True)
    kinds.serve_on(b)
    assert kinds.computed == (A, a, b)
    assert "can not be repeated" in in_words(kinds.computed)
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    store = CheckpointStore(folder.checkpoints)
    store.save(Checkpoint(1, {"x": np.ones(3)}, kinds.describe()))
    assert kinds_of_folder(folder).computed == (A, a, b)


def test_what_strangers_make_up_is_bounded(caplog):
    kinds = DeviceKinds(any_device=True)
    with pytest.raises(Refusal, match="64 kinds of device compute already"):
        for number in range(100):
            kinds.let_in(f"xla on {number}")
    caplog.clear()
    kinds = DeviceKinds([A])
    for number in range(100):
        for _ in range(2):
            with pytest.raises(Refusal):
                kinds.let_in(f"xla on {number}")
    assert 0 < len(caplog.records) < 20
    kinds.count("xla on 7")  # It was never let in.
    assert kinds.computed == (A,)


def test_a_folder_says_what_has_computed_its_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert kinds_of_folder(folder).computed == ()
    folder.checkpoints.mkdir(parents=True)
    assert kinds_of_folder(folder).computed == ()
    store = CheckpointStore(folder.checkpoints)
    state = {"x": np.ones(3)}
    store.save(Checkpoint(1, state, {"scores": None}))  # As they were written once.
    assert kinds_of_folder(folder).computed == ()
    store.save(Checkpoint(2, state, {"computed_by": [A, B]}))
    assert kinds_of_folder(folder).computed == (A, B)
    assert store.latest_meta()["computed_by"] == [A, B]
    (folder.checkpoints / "step-000003.npz").write_bytes(b"cut")
    assert kinds_of_folder(folder).computed == (A, B)
