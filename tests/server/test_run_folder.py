import errno
import fcntl
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from stillhouse.data.distilled import DistilledSet, save_distilled
from stillhouse.server.run_folder import RunFolder, write_json

IDENTITY = {"seed": 0, "method": "kip", "depth": None}


def write_set(folder):
    save_distilled(folder.distilled, DistilledSet(np.ones((2, 3, 3)), np.eye(2)))


def make(path):
    folder = RunFolder(path)
    with folder.opened(IDENTITY, {"out": "x"}):
        pass
    return folder


def test_a_new_folder_is_made_with_what_the_run_is(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "first")
    assert folder.check(IDENTITY) is False
    assert not (tmp_path / "runs").exists()
    with folder.opened(IDENTITY, {"out": "x"}):
        assert folder.checkpoints.is_dir()
        assert folder.tensorboard.is_dir()
    content = json.loads(folder.config.read_text())
    assert (content["identity"], content["settings"]) == (IDENTITY, {"out": "x"})
    assert folder.check(IDENTITY) is True


def test_another_run_is_refused_by_what_differs(tmp_path):
    folder = make(tmp_path / "run")
    with pytest.raises(ValueError, match="holds another run") as error:
        folder.check({"seed": 1, "method": "kip", "depth": 3})
    assert "seed is 0 there and 1 here" in str(error.value)
    assert "depth is not set there and 3 here" in str(error.value)
    assert "method" not in str(error.value)


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="holds no run"):
        RunFolder(tmp_path).check(IDENTITY)


def test_an_empty_folder_will_do_and_so_will_one_killed_while_it_was_made(tmp_path):
    (tmp_path / ".config.json.123.abcd.tmp").write_text("{")
    assert RunFolder(tmp_path).check(IDENTITY) is False
    make(tmp_path)
    assert not (tmp_path / ".config.json.123.abcd.tmp").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        with pytest.raises(NotADirectoryError) as error:
            RunFolder(tmp_path / name).check(IDENTITY)
        assert error.value.filename == str(tmp_path / "file")


def test_no_permission_is_found_before_anything_is_written(tmp_path, monkeypatch):
    # Not by `chmod`: the tests may run as root, who may write everywhere.
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK | os.X_OK)
    with pytest.raises(PermissionError, match="no permission"):
        RunFolder(tmp_path / "run").check(IDENTITY)


def test_a_full_disk_is_found_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="MB are free"):
        RunFolder(tmp_path / "run").check(IDENTITY, bytes_needed=2**60)


def test_what_cannot_be_written_whole_is_not_left_in_part(tmp_path, monkeypatch):
    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        make(tmp_path / "runs" / "first")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\xff"])
def test_a_damaged_configuration_is_refused(tmp_path, text):
    folder = make(tmp_path / "run")
    folder.config.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"config\.json"):
        folder.check(IDENTITY)


def test_only_one_process_at_a_time(tmp_path):
    folder = RunFolder(tmp_path / "run")
    code = (
        "import sys; from stillhouse.server.run_folder import RunFolder\n"
        f"with RunFolder({str(folder.path)!r}).opened({IDENTITY!r}, {{}}):\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(ValueError, match="another process"), folder.opened(IDENTITY, {}):
            pass
    finally:
        other.kill()  # A lock dies with its process.
        other.communicate(timeout=20)
    with folder.opened(IDENTITY, {}):
        pass


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, as NFS may be."""

    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def test_without_locks_a_file_says_who_is_there(tmp_path, no_locks):
    folder = RunFolder(tmp_path / "run")
    with folder.opened(IDENTITY, {}):
        holder = json.loads((folder.path / ".lock.json").read_text())
        assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
        with pytest.raises(ValueError, match=rf"process {os.getpid()} on .* remove .*lock.json"):
            with folder.opened(IDENTITY, {}):
                pass
    assert not (folder.path / ".lock.json").exists()
    assert folder.check(IDENTITY)


def test_the_lock_file_of_a_process_that_was_killed_is_taken_over(tmp_path, no_locks):
    folder = make(tmp_path / "run")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    here = socket.gethostname()
    # The second one has a number that another process was given since.
    for holder in ({"pid": ended.pid}, {"pid": os.getpid(), "started": "1"}):
        write_json(folder.path / ".lock.json", {"host": here, "taken": "then", **holder})
        with folder.opened(IDENTITY, {}):
            pass


def test_of_another_host_nobody_can_tell(tmp_path, no_locks):
    folder = make(tmp_path / "run")
    write_json(folder.path / ".lock.json", {"host": "node9", "pid": 7, "taken": "2026-01-01"})
    with pytest.raises(ValueError, match="process 7 on node9 is running in .* since 2026-01-01"):
        with folder.opened(IDENTITY, {}):
            pass
    assert (folder.path / ".lock.json").exists()
    (folder.path / ".lock.json").write_text("cut")
    with pytest.raises(ValueError, match="process . on a host"), folder.opened(IDENTITY, {}):
        pass


def test_a_run_is_finished_when_both_set_and_result_are_there(tmp_path):
    folder = make(tmp_path / "run")
    assert folder.read_result() is None
    write_json(folder.result, {"test_accuracy": 0.5})
    assert folder.read_result() is None
    write_set(folder)
    assert folder.read_result() == {"test_accuracy": 0.5}


def test_a_run_whose_set_is_damaged_is_not_finished(tmp_path, caplog):
    folder = make(tmp_path / "run")
    write_json(folder.result, {"test_accuracy": 0.5})
    write_set(folder)
    folder.distilled.write_bytes(folder.distilled.read_bytes()[:-100])
    assert folder.read_result() is None
    assert "distilled.npz: not a .npz file, or cut short; it is to be written again" in caplog.text


def test_a_run_may_be_taken_further_in_what_grows_and_in_nothing_else(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.opened({"steps": 3, "seed": 0}, {"steps": 3}):
        write_json(folder.result, {"steps": 3})
        write_set(folder)
        folder.curves.write_bytes(b"")
    longer = {"steps": 5, "seed": 0}
    with pytest.raises(ValueError, match="steps is 3 there and 5 here"):
        folder.check(longer)
    assert folder.check(longer, growing="steps")
    assert folder.read_result(3) == {"steps": 3} and folder.read_result(5) is None
    for other in ({"steps": 2, "seed": 0}, {"steps": 5, "seed": 1}):
        with pytest.raises(ValueError, match="holds another run"):
            folder.check(other, growing="steps")
    with folder.opened(longer, {"steps": 5}, growing="steps"):
        assert not folder.result.exists() and not folder.curves.exists()
        assert folder.read_settings() == {"steps": 5}
    assert folder.check(longer)


@pytest.mark.parametrize("left", [(), ("checkpoints",), ("checkpoints", "tensorboard")])
def test_a_folder_that_a_kill_left_without_content_is_begun_anew(tmp_path, left):
    folder = RunFolder(tmp_path / "run")
    for name in left:
        (folder.path / name).mkdir(parents=True)
    assert not folder.check(IDENTITY)
    with folder.opened(IDENTITY, {}):
        assert folder.check(IDENTITY)
