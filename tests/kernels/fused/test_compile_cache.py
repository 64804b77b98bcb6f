"""Machine code survives the process, unless it is damaged or there is no place for it."""

import concurrent.futures
import fcntl
import json
import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, resource, sys
from stillhouse.kernels.fused import compile_cache

compile_cache._PATIENCE = float(os.environ.get("PATIENCE", compile_cache._PATIENCE))
if "MOST_BYTES" in os.environ:  # Files can be written up to here and no further.
    most = int(os.environ["MOST_BYTES"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

if __name__ == "__main__":
    @compile_cache.CachedLoop
    def add(a, b):
        return a + b

    result = add(2, 3)
    stats = add._dispatcher.stats
    print(json.dumps([result, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs the program and gives result, hits, misses and what it said."""
    program = tmp_path_factory.mktemp("program") / "program.py"
    program.write_text(PROGRAM)

    def start(**environment):
        done = subprocess.run(
            [sys.executable, str(program)],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            check=True,
        )
        return (*json.loads(done.stdout), done.stderr)

    return start


@pytest.fixture(scope="module")
def filled(run, tmp_path_factory):
    """A cache that holds what was compiled."""
    folder = tmp_path_factory.mktemp("filled") / "cache"
    assert run(STILLHOUSE_CACHE=str(folder)) == (5, 0, 1, "")
    return folder


@pytest.fixture
def cache(filled, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(filled, tmp_path / "cache")


def machine_code(folder):
    return [path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc")]


def test_the_second_process_finds_what_the_first_compiled(run, cache):
    assert len(machine_code(cache)) == 2
    assert run(STILLHOUSE_CACHE=str(cache)) == (5, 1, 0, "")


def test_of_processes_that_begin_at_once_one_compiles(run, tmp_path):
    cache = str(tmp_path / "cache")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: run(STILLHOUSE_CACHE=cache), range(3)))
    assert sorted(found) == [(5, 0, 1, ""), (5, 1, 0, ""), (5, 1, 0, "")]


def test_one_that_cannot_wait_longer_compiles_too(run, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("STILLHOUSE_CACHE", str(cache))
    run()
    (lock,) = cache.rglob("lock")
    for path in machine_code(cache):
        path.unlink()
    with open(lock, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run(PATIENCE="0.1") == (5, 0, 1, "")


def test_the_folder_is_the_user_s_cache(run, tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "STILLHOUSE_CACHE": ""}
    assert run(**environment)[0] == 5
    assert machine_code(tmp_path / "xdg" / "stillhouse")
    environment = {"XDG_CACHE_HOME": "", "STILLHOUSE_CACHE": "", "HOME": str(tmp_path / "home")}
    assert run(**environment)[0] == 5
    assert machine_code(tmp_path / "home" / ".cache" / "stillhouse")


@pytest.mark.parametrize("victim", [".nbi", ".nbc", ".json"])
@pytest.mark.parametrize("damage", [b"", b"\x00garbage"])
def test_damaged_files_are_compiled_again(run, cache, victim, damage):
    (path,) = (path for path in cache.rglob("*") if path.suffix == victim)
    path.write_bytes(damage)
    assert run(STILLHOUSE_CACHE=str(cache)) == (5, 0, 1, "")
    assert run(STILLHOUSE_CACHE=str(cache)) == (5, 1, 0, "")


def test_one_flipped_bit_is_noticed(run, cache):
    (path,) = cache.rglob("*.nbc")
    code = bytearray(path.read_bytes())
    code[len(code) // 2] ^= 1
    path.write_bytes(code)
    assert run(STILLHOUSE_CACHE=str(cache)) == (5, 0, 1, "")


def test_without_a_place_it_works_and_says_so_in_one_line(run, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result, hits, misses, said = run(STILLHOUSE_CACHE=str(tmp_path / "file" / "cache"))
    assert (result, hits) == (5, 0)
    assert said.count("\n") == 1
    assert "STILLHOUSE_CACHE" in said


def test_what_cannot_be_written_is_said_in_one_line(run, tmp_path):
    result, hits, misses, said = run(STILLHOUSE_CACHE=str(tmp_path / "cache"), MOST_BYTES="100")
    assert (result, hits) == (5, 0)
    assert said.count("\n") == 1
    assert "File too large" in said and "STILLHOUSE_CACHE" in said
