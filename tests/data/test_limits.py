import pytest

from stillhouse.data import limits
from stillhouse.data.limits import check_memory, check_unpacked


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 2 * 10**9)


def test_what_files_of_images_unpack_to_is_taken():
    check_unpacked(16 * 2**20, 100)
    check_unpacked(900_000_000, 20_000_000)


def test_far_more_than_the_file_is_refused_with_what_to_give():
    with pytest.raises(ValueError, match=r"3.0 GB from 2.9 MB, as no.*`max_bytes=3000000000`"):
        check_unpacked(3 * 10**9, 2_900_000)
    with pytest.raises(ValueError, match="1.5 GB of memory, where 1.0 GB may"):
        check_unpacked(1_500_000_000, 1_500_000_000)


def test_who_trusts_a_file_may_have_more_but_no_more_than_that():
    check_unpacked(3 * 10**9, 2_900_000, 3 * 10**9)
    with pytest.raises(ValueError, match="more than `max_bytes=2999999999`"):
        check_unpacked(3 * 10**9, 2_900_000, 3 * 10**9 - 1)
    check_memory(3 * 10**9, 3 * 10**9)
    with pytest.raises(ValueError, match="3.0 GB of memory, where 1.0 GB may be used"):
        check_memory(3 * 10**9)
