import functools
import http.server
import json
import shutil
import threading

import numpy as np
import pytest

from stillhouse.data.distilled import load_distilled
from stillhouse.data.releases import parse_index, resuming


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; hangs up in the middle of answers as often as `breaks` says."""

    breaks = 0

    def copyfile(self, source, outputfile):
        content = source.read()
        if Handler.breaks:
            Handler.breaks -= 1
            content = content[: len(content) // 2]
        outputfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, and the URL at which a web server has it."""
    monkeypatch.setattr(resuming, "_FIRST_WAIT", 0.001)
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    Handler.breaks = 0
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def release(stillhouse, finished, served, cache):
    """A set that is published, and the URL of the release."""
    folder, url = served
    assert stillhouse("publish", finished, f"--to={folder}").code == 0
    return folder, url


def set_of(folder):
    (row,) = parse_index((folder / "index.csv").read_bytes(), "index.csv").rows
    return folder / row.url


def evaluated(stillhouse, file, *flags):
    result = stillhouse("evaluate", file, "--json", *flags)
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_set_evaluates_elsewhere_as_where_it_was_made(stillhouse, release, finished, spots):
    _, url = release
    result = stillhouse("fetch", url, "--out=there.npz")
    assert result.code == 0 and "stillhouse evaluate there.npz" in result.out
    # To the byte, so to more than four digits.
    here = evaluated(stillhouse, finished)
    there = evaluated(stillhouse, "there.npz", f"--dataset={spots}")
    assert here["test_accuracy"] == there["test_accuracy"]
    assert round(there["stated_test_accuracy"], 4) == round(there["test_accuracy"], 4)
    assert abs(there["accuracy_difference"]) < 5e-5
    assert "the set's card says" in stillhouse("evaluate", "there.npz", f"--dataset={spots}").out
    # It carries no path of where it was made.
    alone = stillhouse("evaluate", "there.npz")
    assert alone.code == 2
    assert "was distilled from spots (SHA-256" in alone.err and "give --dataset" in alone.err


def test_it_comes_byte_for_byte_and_once(stillhouse, release, cache, tmp_path):
    folder, url = release
    stillhouse("fetch", url)
    (file,) = (tmp_path / "spots").glob("*.npz")
    assert file.read_bytes() == set_of(folder).read_bytes()
    set_of(folder).unlink()  # From here on it is in the cache alone.
    assert stillhouse("fetch", url, "--out=again.npz").code == 0
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()
    assert len(list(cache.iterdir())) == 1


def test_a_connection_that_breaks_is_taken_up_again(stillhouse, release, tmp_path):
    folder, url = release
    Handler.breaks = 2  # The index, and the set.
    assert stillhouse("fetch", url, "--out=a.npz").code == 0
    assert (tmp_path / "a.npz").read_bytes() == set_of(folder).read_bytes()


def failed(stillhouse, tmp_path, *arguments):
    """Fetch what cannot be had: one line, exit code 2, and no file."""
    result = stillhouse("fetch", *arguments, "--out=out/a.npz")
    assert (result.code, result.out) == (2, "") and result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    return result.err


def test_a_connection_that_always_breaks_leaves_nothing(stillhouse, release, tmp_path):
    Handler.breaks = 4
    assert "broke after" in failed(stillhouse, tmp_path, release[1])


def test_a_file_that_is_not_what_the_index_says_leaves_nothing(stillhouse, release, tmp_path):
    folder, url = release
    content = set_of(folder).read_bytes()
    for wrong in (content[: len(content) // 2], content[:-1] + b"x", b""):
        set_of(folder).write_bytes(wrong)
        for source in (url, folder):
            assert "its SHA-256 is" in failed(stillhouse, tmp_path, source)


def test_a_missing_or_damaged_index_is_one_line(stillhouse, release, tmp_path):
    folder, url = release
    text = (folder / "index.csv").read_text()
    (folder / "index.csv").write_text(text.replace(",3,", ",three,"))
    assert "line 2: the column ssize" in failed(stillhouse, tmp_path, url)
    (folder / "index.csv").write_text(text.splitlines()[0])
    assert "the index is empty" in failed(stillhouse, tmp_path, url)
    (folder / "index.csv").unlink()
    for source in (url, folder, "kpi"):
        says = failed(stillhouse, tmp_path, source)
        assert f"no index of distilled sets at {source}/index.csv" in says
        assert "SOURCE must be kip, ls, or" in says


def test_a_set_in_a_newer_format_is_one_line(stillhouse, served, finished, cache, tmp_path):
    with np.load(finished / "distilled.npz") as archive:
        arrays = dict(archive)
    card = json.loads(str(arrays["card"])) | {"format_version": 99}
    np.savez(served[0] / "new.npz", **(arrays | {"card": np.array(json.dumps(card))}))
    index = "architecture,dataset,ssize,zca,URL\nFC1,spots,3,False,new.npz\n"
    (served[0] / "index.csv").write_text(index)
    assert "use a newer Stillhouse" in failed(stillhouse, tmp_path, served[1])


def test_what_is_there_already_is_not_overwritten(stillhouse, release, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"mine")
    result = stillhouse("fetch", release[1], "--out=a.npz")
    assert result.code == 2 and "a.npz is there already" in result.err
    assert (tmp_path / "a.npz").read_bytes() == b"mine"


@pytest.fixture
def published(finished, cache, tmp_path):
    """The published releases in small: a mirror with files that hold images and labels alone."""
    distilled = load_distilled(finished / "distilled.npz")
    base = "https://storage.cloud.google.com/kip-datasets"
    header = "architecture,dataset,ssize,zca,l,{}ckpt,test_acc,test_mse,URL"
    mirror = tmp_path / "mirror"
    for release in ("kip", "ls"):
        (mirror / release / "spots").mkdir(parents=True)
        lines = [header.format("aug," if release == "kip" else "")]
        for zca in (False, True):
            for ckpt, accuracy in ((0, 0.31), (12, 0.97)):
                name = f"FC1_ssize3_{'zca' if zca else 'nozca'}_ckpt{ckpt}.npz"
                images = distilled.images + (12 - ckpt)
                np.savez(mirror / release / "spots" / name, images=images, labels=distilled.labels)
                aug = "False," if release == "kip" else ""
                lines.append(
                    f"FC1,spots,3,{zca},True,{aug}{ckpt},{accuracy - zca / 10},0.02,"
                    f"{base}/{release}/spots/{name}"
                )
        (mirror / release / f"{release}.csv").write_text("\n".join(lines) + "\n")
    return mirror


def test_a_published_set_gets_its_transform_and_network(
    stillhouse, published, finished, spots, tmp_path
):
    flags = (f"--mirror={published}", f"--dataset={spots}", "--best", "--json")
    (found,) = json.loads(stillhouse("fetch", "kip", *flags).out)
    assert found["file"] == "spots/FC1_ssize3_nozca_ckpt12.npz" and found["test_accuracy"] == 0.97
    own, other = (evaluated(stillhouse, file) for file in (finished, found["file"]))
    # The recipe for what is not whitened is the one that the run had.
    assert other["test_mse"] == pytest.approx(own["test_mse"], rel=1e-5)
    assert other["stated_test_accuracy"] == 0.97
    assert other["accuracy_difference"] == pytest.approx(other["test_accuracy"] - 0.97)
    assert other["mse_difference"] == pytest.approx(other["test_mse"] - 0.02)
    text = stillhouse("evaluate", found["file"]).out
    points = abs(other["accuracy_difference"] * 100)
    assert f"the set's card says 0.9700: {points:.2f} points" in text
    again = stillhouse("publish", found["file"], "--to=release", "--json")
    assert json.loads(again.out)["row"]["test_accuracy"] == 0.97


def test_whitening_and_label_solve_are_told_by_the_row(stillhouse, published, spots, tmp_path):
    flags = (f"--mirror={published}", f"--dataset={spots}", "--zca", "--ckpt=12", "--out=a.npz")
    assert stillhouse("fetch", "ls", *flags).code == 0
    found = load_distilled(tmp_path / "a.npz")
    assert (found.card.method, found.transform.kind) == ("label_solve", "zca")
    assert found.card.config["whitening_images"] == 192 - 19


def test_its_dataset_is_read_as_asked_for_and_so_again(stillhouse, published, spots):
    flags = (f"--mirror={published}", f"--dataset={spots}", "--best", "--test_fraction=0.5")
    assert stillhouse("fetch", "kip", *flags, "--out=half.npz").code == 0
    found = evaluated(stillhouse, "half.npz")
    assert (found["test_images"], found["same_dataset"]) == (120, True)
    assert evaluated(stillhouse, "half.npz", "--test_fraction=0.25")["test_images"] == 60


def test_a_published_set_needs_its_dataset(stillhouse, published, tmp_path):
    says = failed(stillhouse, tmp_path, "kip", f"--mirror={published}", "--best")
    assert "holds images and labels alone; name by --dataset the spots that" in says
    says = failed(stillhouse, tmp_path, "ls", f"--mirror={published}", "--best", "--dataset=digits")
    assert "name the dataset spots" in says


def test_the_list_shows_what_there_is(stillhouse, published):
    result = stillhouse("fetch", "kip", f"--mirror={published}", "--list", "--nozca")
    lines = result.out.splitlines()
    assert lines[0].split() == [
        *("architecture", "dataset", "ssize", "zca", "l", "aug", "ckpt", "test_acc", "test_mse")
    ]
    assert [line.split()[6:8] for line in lines[1:]] == [["0", "0.31"], ["12", "0.97"]]
    found = json.loads(stillhouse("fetch", "ls", f"--mirror={published}", "--list", "--json").out)
    assert len(found) == 4 and found[0]["augmented"] is None


def test_of_several_sets_one_is_asked_for_or_all(stillhouse, published, spots, tmp_path):
    mirror = f"--mirror={published}"
    says = failed(stillhouse, tmp_path, "kip", mirror)
    assert "4 sets are meant; see them by --list" in says
    assert "must be a folder for 4 sets" in failed(stillhouse, tmp_path, "kip", mirror, "--all")
    result = stillhouse("fetch", "kip", mirror, "--all", f"--dataset={spots}", "--out=sets")
    assert result.code == 0 and len(result.out.splitlines()) == 4
    assert len(list((tmp_path / "sets/spots").glob("*.npz"))) == 4


def test_two_files_of_one_name_are_not_one(stillhouse, release, finished, tmp_path):
    folder, url = release
    second = set_of(folder).parent.parent / "second" / set_of(folder).name
    second.parent.mkdir()
    shutil.copy(set_of(folder), second)
    with (folder / "index.csv").open("a") as index:
        index.write(f"FC1,spots,3,False,,,,,,{second.relative_to(folder)},\n")
    result = stillhouse("fetch", url, "--all")
    assert result.code == 2 and "lines 2 and 3 of the index would both become" in result.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--ckpt=5"], "no set with ckpt 5 among these; there are 0, 12"),
        (["--dataset_name=cifar10"], "no set with dataset cifar10 among these; there are spots"),
        (["--augmented"], "no set with augmented True"),
        (["--best", "--all"], "give `--best` or `--all`"),
        (["--ssize=0"], "--ssize"),
        (["--best", "--dataset=nonsense"], "unknown dataset"),
        (["--best", "--image_size=8x8"], "`--image_size` needs `--dataset` beside it"),
    ],
)
def test_what_cannot_be_is_one_line(stillhouse, published, tmp_path, flags, says):
    assert says in failed(stillhouse, tmp_path, "kip", f"--mirror={published}", *flags)


def test_what_is_no_source_is_one_line(refused, cache):
    assert "SOURCE is missing: name kip, ls" in refused("fetch", "--list")
    assert "a mirror is for kip and ls alone" in refused("fetch", "x", "--mirror=y")
    assert "unknown scheme s33://" in refused("fetch", "s33://x")
