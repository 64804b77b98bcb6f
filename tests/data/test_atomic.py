import os
import stat

import pytest

from stillhouse.data.atomic import atomic_write, write_bytes


def test_it_makes_and_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "result.bin"
    atomic_write(path, lambda file: file.write(b"one") and None)
    atomic_write(str(path), lambda file: file.write(b"two!") and None)
    assert path.read_bytes() == b"two!"
    assert os.listdir(tmp_path) == ["result.bin"]


def test_content_at_hand_replaces_a_file_too(tmp_path):
    for content in (b"one", b"two!"):
        write_bytes(tmp_path / "result.bin", content)
        assert (tmp_path / "result.bin").read_bytes() == content
    assert os.listdir(tmp_path) == ["result.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path, error):
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half of the new")
        file.flush()
        raise error

    with pytest.raises(error):
        atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["result.bin"]


def test_a_reader_sees_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    atomic_write(path, write)
    assert path.read_bytes() == b"new"


def test_a_rename_that_fails_leaves_no_temporary_file(tmp_path):
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match=f": '{folder}'$"):
        atomic_write(folder, lambda file: file.write(b"x") and None)
    assert os.listdir(tmp_path) == ["taken"]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    def fail(source, target):
        raise PermissionError(13, "Permission denied", source, None, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError) as error:
        atomic_write(tmp_path / "result.bin", lambda file: None)
    assert str(error.value) == f"[Errno 13] Permission denied: '{tmp_path}/result.bin'"
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        atomic_write(tmp_path / "nowhere" / "result.bin", lambda file: None)


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    atomic_write(tmp_path / "atomic", lambda file: None)
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic", "plain")}
    assert len(modes) == 1


def test_a_relative_path_is_written_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomic_write("here.bin", lambda file: file.write(b"x") and None)
    assert os.listdir(tmp_path) == ["here.bin"]
