import concurrent.futures
import threading
import time

import pytest

from stillhouse.data.releases import folders
from stillhouse.data.releases.folders import LocalFolder, add_files, open_folder


@pytest.fixture(params=["folder", "store"])
def location(request, tmp_path):
    """A place to publish to: on this machine, and in an object store."""
    if request.param == "folder":
        return str(tmp_path / "release")
    request.getfixturevalue("store")
    return "memory://bucket/release"


def test_files_are_written_read_and_removed(location):
    folder = open_folder(location)
    assert folder.read("a/b.txt") is None
    folder.write("a/b.txt", b"one")
    folder.write("a/b.txt", b"two")
    assert open_folder(location).read("a/b.txt") == b"two"
    folder.remove("a/b.txt")
    folder.remove("a/b.txt")
    assert folder.read("a/b.txt") is None


def test_one_publisher_at_a_time(location):
    inside, most = 0, 0

    def publish(_):
        nonlocal inside, most
        with open_folder(location).lock():
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(6)))
    assert (inside, most) == (0, 1)


def test_a_publisher_whose_lock_was_removed_meanwhile_has_published_all_the_same(location):
    folder = open_folder(location)
    with folder.lock():
        folder.write("index.csv", b"row")
        folder.remove(".index.lock")
    assert open_folder(location).read("index.csv") == b"row"


def test_a_publisher_who_does_not_end_is_told_of(location, monkeypatch):
    monkeypatch.setattr(folders, "_PATIENCE", 0.1)
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with open_folder(location).lock():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait(10)
    try:
        with pytest.raises(TimeoutError, match="another publisher"):
            with open_folder(location).lock():
                pass
    finally:
        leave.set()
        thread.join()
    with open_folder(location).lock():
        pass


def test_files_that_are_there_are_left(location):
    folder = open_folder(location)
    assert add_files(folder, {"a.txt": b"a"}) == ["a.txt"]
    assert add_files(folder, {"a.txt": b"a", "b.txt": b"b"}) == ["b.txt"]
    with pytest.raises(ValueError, match="release/a.txt is there already, with another content"):
        add_files(folder, {"c.txt": b"c", "a.txt": b"other"})
    assert [folder.read(f"{name}.txt") for name in "abc"] == [b"a", b"b", None]


def test_on_a_full_disk_nothing_is_left(tmp_path, full_disk):
    folder = LocalFolder(tmp_path / "release")
    folder.write("there.txt", b"there")
    with full_disk(10_000), pytest.raises(OSError, match="too large"):
        add_files(folder, {"a/b/small.txt": b"small", "a/c/large.txt": bytes(20_000)})
    assert [path.name for path in (tmp_path / "release").rglob("*")] == ["there.txt"]


def test_a_folder_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "release").write_text("a file")
    with pytest.raises(OSError, match="release"):
        with LocalFolder(tmp_path / "release").lock():
            pass


def test_a_web_server_is_not_published_to():
    with pytest.raises(ValueError, match="a web server cannot be published to"):
        open_folder("https://x.org/releases")


def test_what_a_store_refuses_is_one_line(store):
    store.pipe_file("/refusing/release", b"a file, not a folder")
    folder = open_folder("memory://refusing/release")
    with pytest.raises(ConnectionError, match="memory://refusing/release: cannot be used"):
        folder.write("a.txt", b"a")


def test_no_link_leads_out_of_a_release(tmp_path):
    elsewhere, release = tmp_path / "elsewhere", tmp_path / "release"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(b"mine")
    release.mkdir()
    (release / "digits").symlink_to(elsewhere)
    folder = LocalFolder(release)
    for path in ("digits/a.npz", "../elsewhere/a.npz"):
        with pytest.raises(ValueError, match="leads out of .*, by a link or by"):
            folder.write(path, b"x")
        with pytest.raises(ValueError, match="leads out of"):
            add_files(folder, {path: b"x"})
    with pytest.raises(ValueError, match="leads out of"):
        folder.read("digits/secret")
    with pytest.raises(ValueError, match="leads out of"):
        folder.remove("digits/secret")
    assert [path.name for path in elsewhere.iterdir()] == ["secret"]


def test_a_link_to_a_release_and_one_within_it_are_followed(tmp_path):
    release = tmp_path / "release"
    (release / "real").mkdir(parents=True)
    (release / "alias").symlink_to(release / "real")
    (tmp_path / "link").symlink_to(release)
    LocalFolder(tmp_path / "link").write("alias/a", b"x")
    assert (release / "real" / "a").read_bytes() == b"x"
