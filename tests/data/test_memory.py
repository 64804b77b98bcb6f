import os

import pytest

from stillhouse.data import memory


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    def write(limit):
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("3000000\n")
        (tmp_path / "memory.stat").write_text("anon 2500000\ninactive_file 500000\n")

    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return write


def test_it_is_what_the_machine_has_at_most(cgroup):
    all_of_it = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.available_memory() <= all_of_it
    cgroup("max\n")
    assert 0 < memory.available_memory() <= all_of_it


def test_a_container_has_less(cgroup):
    cgroup("10000000\n")
    assert memory.available_memory() == 10_000_000 - 3_000_000 + 500_000
    cgroup("1000000\n")
    assert memory.available_memory() == 0
