import pytest

from stillhouse.launch.sets import read_set


def test_a_set_is_a_file_or_the_run_folder_that_holds_it(finished):
    file, folder = read_set(str(finished / "distilled.npz")), read_set(str(finished))
    assert file.images.tobytes() == folder.images.tobytes()


def test_what_is_no_set_is_named(tmp_path):
    with pytest.raises(ValueError, match="without a distilled.npz"):
        read_set(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        read_set(str(tmp_path / "none.npz"))
