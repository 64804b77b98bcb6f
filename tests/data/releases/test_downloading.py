import collections
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from stillhouse.data.distilled import load_distilled
from stillhouse.data.releases import downloading
from stillhouse.data.releases.downloading import cache_folder, download, read_location


def small_set(seed=0):
    buffer = io.BytesIO()
    np.savez(buffer, images=np.random.default_rng(seed).random((4, 20, 20, 1)), labels=np.eye(4))
    return buffer.getvalue()


SET = small_set()
SHA256 = hashlib.sha256(SET).hexdigest()


def kept(cache):
    return [path.name for path in cache.rglob("*")] if cache.exists() else []


def test_the_cache_is_the_users_own_unless_told(monkeypatch):
    monkeypatch.setenv("STILLHOUSE_CACHE", "~/mine")
    assert cache_folder() == Path("~/mine").expanduser()
    monkeypatch.delenv("STILLHOUSE_CACHE")
    assert cache_folder().name == "stillhouse"


def test_what_is_in_the_cache_is_not_asked_for_again(web, cache):
    web.files["/a.npz"] = SET
    for known in (SHA256, None):
        path = download(f"{web.url}/a.npz", sha256=known, check=load_distilled)
        assert path.parent == cache and path.read_bytes() == SET
    assert len(web.asked) == 1


def test_files_of_one_name_from_two_places_are_two(web, cache):
    web.files |= {"/1/a.npz": SET, "/2/a.npz": small_set(1)}
    paths = [download(f"{web.url}/{i}/a.npz") for i in (1, 2)]
    assert [path.read_bytes() for path in paths] == [SET, small_set(1)]


def test_a_wrong_checksum_leaves_nothing(web, cache):
    web.files["/a.npz"] = SET[:-1] + bytes([SET[-1] ^ 1])
    with pytest.raises(ValueError, match=f"a.npz: its SHA-256 is .*the index says {SHA256}"):
        download(f"{web.url}/a.npz", sha256=SHA256)
    assert kept(cache) == []


def test_a_file_that_ends_too_soon_leaves_nothing(web, cache):
    web.files["/a.npz"] = SET
    web.lengths, web.breaks = False, [1000]  # It looks like a whole one.
    with pytest.raises(ValueError, match=rf"^{web.url}/a.npz: not a .npz file, or cut short$"):
        download(f"{web.url}/a.npz", check=load_distilled)
    assert kept(cache) == []


def test_a_connection_that_breaks_leaves_nothing(web, cache):
    web.files["/a.npz"] = SET
    web.ranges, web.breaks = False, [1000] * 4
    with pytest.raises(
        ConnectionError, match=r"the connection broke after [\d,]+ of 1[\d,]+ bytes; tried 4"
    ):
        download(f"{web.url}/a.npz")
    assert kept(cache) == []


def test_what_a_crash_left_in_the_cache_is_fetched_again(web, cache):
    web.files["/a.npz"] = SET
    for known in (SHA256, None):
        path = download(f"{web.url}/a.npz", sha256=known)
        path.write_bytes(SET[:1000])
        again = download(f"{web.url}/a.npz", sha256=known, check=load_distilled)
        assert again == path and path.read_bytes() == SET


def test_a_cache_that_cannot_be_is_told(web, cache):
    cache.write_text("a file")
    with pytest.raises(OSError, match="cache"):
        download(f"{web.url}/a.npz")


def test_on_a_full_disk_nothing_is_left_in_the_cache(web, store, cache, full_disk):
    web.files["/a.npz"] = SET
    store.pipe_file("/bucket/a.npz", SET)
    for location in (f"{web.url}/a.npz", "memory://bucket/a.npz"):
        with full_disk(1000), pytest.raises(OSError, match="too large") as caught:
            download(location)
        assert caught.value.filename == str(cache)
        assert kept(cache) == []


def test_what_lies_here_is_checked_and_not_copied(tmp_path, cache):
    file = tmp_path / "a b.npz"
    file.write_bytes(SET)
    for location in (str(file), file.as_uri()):
        assert download(location, sha256=SHA256) == file
        assert read_location(location) == SET
    with pytest.raises(ValueError, match="SHA-256"):
        download(str(file), sha256="0" * 64)
    with pytest.raises(FileNotFoundError):
        download(str(tmp_path / "none.npz"))
    assert kept(cache) == [] and file.read_bytes() == SET


def test_object_stores_are_read(store, cache):
    store.pipe_file("/bucket/a.npz", SET)
    assert read_location("memory://bucket/a.npz") == SET
    assert download("memory://bucket/a.npz", sha256=SHA256).read_bytes() == SET
    store.store.clear()
    assert download("memory://bucket/a.npz", sha256=SHA256).read_bytes() == SET
    with pytest.raises(FileNotFoundError, match="memory://bucket/b.npz: not there"):
        read_location("memory://bucket/b.npz")
    with pytest.raises(FileNotFoundError, match="memory://bucket/b.npz: not there"):
        download("memory://bucket/b.npz")


def test_an_index_is_never_taken_from_the_cache(web, cache):
    for content in (b"one", b"two"):
        web.files["/index.csv"] = content
        assert read_location(f"{web.url}/index.csv") == content
    assert kept(cache) == []


@pytest.mark.parametrize("lengths", [True, False])
def test_more_than_is_asked_for_leaves_nothing(web, cache, lengths):
    web.files["/a.npz"], web.lengths = SET, lengths
    with pytest.raises(ValueError, match="a.npz: .* where 1,000 are fetched; .* `max_bytes`"):
        download(f"{web.url}/a.npz", max_bytes=1000)
    assert kept(cache) == []


def test_a_disk_is_never_filled(web, cache, monkeypatch):
    web.files["/a.npz"] = SET
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage(2**31, 2**30, 2**30 + 99))
    with pytest.raises(ValueError, match="where 99 are fetched"):
        download(f"{web.url}/a.npz")


def test_an_index_without_end_is_not_taken_into_memory(web, monkeypatch):
    monkeypatch.setattr(downloading, "_INDEX_BYTES", 1000)
    web.files["/index.csv"], web.lengths = bytes(5000), False
    with pytest.raises(ValueError, match="index.csv: .* where 1,000 are fetched"):
        read_location(f"{web.url}/index.csv")
