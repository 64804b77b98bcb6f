import pytest

from stillhouse.data.folders import check_writable, sole_writer


def test_a_folder_that_is_not_there_yet_is_looked_at_from_above(tmp_path):
    assert check_writable(tmp_path / "a/b") == tmp_path
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        check_writable(tmp_path / "file/a")


def test_one_process_at_a_time_writes_and_leftovers_go(tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / ".x.json.1.tmp").write_text("half")
    with sole_writer(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]
        with pytest.raises(ValueError, match="another process is writing in .*new; wait for it"):
            with sole_writer(folder):
                pass
    with sole_writer(folder):
        pass
