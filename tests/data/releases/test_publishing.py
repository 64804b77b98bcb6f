import dataclasses
import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from stillhouse.data.distilled import load_distilled, save_distilled
from stillhouse.data.releases.index import parse_index
from stillhouse.data.releases.publishing import publish

NAME = "FC1_ssize6_nozca_l_noaug_ckpt7"


@pytest.fixture
def release(tmp_path):
    return tmp_path / "release"


def rows(release):
    return parse_index((release / "index.csv").read_bytes(), "index.csv").rows


def files(folder):
    """Every file but the lock, with its content."""
    found = folder.rglob("*") if folder.exists() else ()
    return {p: p.read_bytes() for p in found if p.is_file() and p.name != ".index.lock"}


def test_a_set_its_card_and_its_row(release, make_set):
    file = make_set(3)
    published = publish(file, str(release), license="cc-by-4.0")
    assert published.new and published.location == str(release / "spots" / NAME / f"{NAME}.npz")
    assert Path(published.location).read_bytes() == file.read_bytes()
    assert "license: cc-by-4.0" in (release / "spots" / NAME / "README.md").read_text()
    (row,) = rows(release)
    assert row == published.row.__class__(**{**vars(published.row), "line": 2})
    assert (row.architecture, row.dataset, row.ssize, row.zca) == ("FC1", "spots", 6, False)
    assert (row.learned, row.augmented, row.ckpt) == (True, False, 7)
    assert (row.test_accuracy, row.test_mse) == (0.903, 0.0123)
    assert row.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert row.url == f"spots/{NAME}/{NAME}.npz"


def test_the_same_set_again_is_no_second_row(release, make_set, tmp_path):
    publish(make_set(), str(release))
    before = files(release)
    copy = tmp_path / "copy.npz"
    copy.write_bytes(make_set().read_bytes())
    again = publish(copy, release.as_uri(), name="another-name")
    assert not again.new and again.row.url == f"spots/{NAME}/{NAME}.npz"
    assert files(release) == before


def test_another_set_of_the_same_name_is_refused_until_it_has_its_own(release, make_set):
    publish(make_set(0), str(release))
    before = files(release)
    with pytest.raises(ValueError, match=r"is another set already \(line 2 .*--name"):
        publish(make_set(1), str(release))
    assert files(release) == before
    publish(make_set(1), str(release), name="second")
    assert files(release).items() >= {p: c for p, c in before.items() if p.suffix != ".csv"}.items()
    assert [row.url for row in rows(release)] == [
        f"spots/{NAME}/{NAME}.npz",
        "spots/second/second.npz",
    ]


def test_a_file_without_a_row_is_not_overwritten(release, make_set):
    path = release / "spots" / NAME / f"{NAME}.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody's")
    with pytest.raises(ValueError, match="is there already, with another content"):
        publish(make_set(), str(release))
    assert files(release) == {path: b"somebody's"}


def test_rows_of_others_stay_as_they_are(release, make_set):
    release.mkdir()
    others = b"ssize,architecture,dataset,zca,URL,l,aug,ckpt,test_acc,test_mse,sha256,note\r\n"
    others += b'5, FC1 ,"my, data",1,https://x/a.npz,,,,0.50,,,mine'  # And no end of the line.
    (release / "index.csv").write_bytes(others)
    publish(make_set(), str(release))
    assert (release / "index.csv").read_bytes().startswith(others + b"\n")
    assert [row.architecture for row in rows(release)] == ["FC1", "FC1"]


@pytest.mark.parametrize(
    "content", [b"<html>", b"\x00\xff", b"architecture,dataset,ssize,zca,URL\nFC"]
)
def test_a_damaged_index_is_left_as_it_is(release, make_set, content):
    release.mkdir()
    (release / "index.csv").write_bytes(content)
    with pytest.raises(ValueError, match="index.csv"):
        publish(make_set(), str(release))
    assert files(release) == {release / "index.csv": content}


@pytest.mark.parametrize("free", [1_000, 10_000])
def test_on_a_full_disk_everything_is_as_it_was(release, make_set, full_disk, free):
    file = make_set()
    release.mkdir()
    row = b"FC1,d,5,False,,,,,,https://x.org/%d.npz,\n"
    index = b"architecture,dataset,ssize,zca,l,aug,ckpt,test_acc,test_mse,URL,sha256\n"
    index += b"".join(row % i for i in range(400))
    (release / "index.csv").write_bytes(index)
    assert 1_000 < file.stat().st_size < 10_000 < len(index)
    with full_disk(free), pytest.raises(OSError, match="too large"):
        publish(file, str(release))
    assert files(release) == {release / "index.csv": index}
    assert not (release / "spots").exists()
    publish(file, str(release))
    assert len(rows(release)) == 401


def test_publishers_at_once_lose_no_row(release, make_set):
    program = (
        "import sys; from pathlib import Path; from stillhouse.data.releases import publish\n"
        "publish(Path(sys.argv[1]), sys.argv[2], name=sys.argv[3])"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(make_set(i)), str(release), f"set-{i}"]
        )
        for i in range(4)
    ]
    try:
        assert [process.wait(120) for process in processes] == [0] * 4
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sorted(row.url for row in rows(release)) == [
        f"spots/set-{i}/set-{i}.npz" for i in range(4)
    ]


def test_into_an_object_store_publishers_lose_no_row_either(store, make_set):
    release = "memory://bucket/sets"
    sets = [make_set(i) for i in range(4)]
    threads = [
        threading.Thread(target=publish, args=(file, release), kwargs={"name": f"set-{i}"})
        for i, file in enumerate(sets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    index = parse_index(store.cat_file("/bucket/sets/index.csv"), "index.csv")
    assert sorted(row.url for row in index.rows) == [f"spots/set-{i}/set-{i}.npz" for i in range(4)]
    for i in range(4):
        content = store.cat_file(f"/bucket/sets/spots/set-{i}/set-{i}.npz")
        assert content == make_set(i).read_bytes()
    assert not store.exists("/bucket/sets/.index.lock")


def test_a_set_that_says_too_little_is_refused(release, make_set, tmp_path):
    distilled = load_distilled(make_set())
    bare = tmp_path / "bare.npz"
    np.savez(bare, images=distilled.images, labels=distilled.labels)
    with pytest.raises(ValueError, match="bare.npz carries no card, so nobody could evaluate it"):
        publish(bare, str(release))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(make_set().read_bytes()[:500])
    with pytest.raises(ValueError, match="cut.npz"):
        publish(cut, str(release))
    with pytest.raises(ValueError, match="a name has letters"):
        publish(make_set(), str(release), name="../x")
    with pytest.raises(ValueError, match="a license is a name as the Hugging Face hub"):
        publish(make_set(), str(release), license="do what you like")
    assert files(release) == {}


def test_what_is_published_carries_no_path_of_this_machine(make_set, tmp_path):
    file = make_set()
    here = load_distilled(file)
    paths = {
        "dataset": "/home/me/secret/spots.npz",
        "released_at": "/m/a.npz",
        "init": "/home/me/secret/real",
        "pool": "C:\\secret\\experts",
    }
    config = {**here.card.config, **paths, "url": "https://example.org/a/b.npz"}
    card = dataclasses.replace(here.card, config=config)
    save_distilled(file, dataclasses.replace(here, card=card))
    published = publish(file, str(tmp_path / "release"))
    content = Path(published.location).read_bytes()
    assert b"secret" not in content.replace(b"\0", b"") and b"/\0\0\0m" not in content
    there = load_distilled(published.location)
    assert there.card.config["dataset"] == "spots"
    assert there.card.config["init"] == "set"  # And not `real`, which says something else.
    assert there.card.config["pool"] == "experts"
    assert there.card.config["url"] == "https://example.org/a/b.npz"
    np.testing.assert_array_equal(there.images, here.images)
    # Published again it is the same one.
    assert not publish(file, str(tmp_path / "release")).new
