import io

import numpy as np
import pytest

from stillhouse.data.releases.resuming import TooManyBytesError, download_web

CONTENT = np.random.default_rng(0).bytes(200_000)


@pytest.fixture
def fetch(web):
    web.files["/a.npz"] = CONTENT

    def run(name="/a.npz"):
        file = io.BytesIO()
        download_web(web.url + name, file)
        return file.getvalue()

    return run


def test_a_whole_file_comes_at_once(web, fetch):
    assert fetch() == CONTENT
    assert web.asked == [("/a.npz", None)]


def test_a_broken_connection_goes_on_where_it_broke(web, fetch):
    web.breaks = [70_000, 50_000]
    assert fetch() == CONTENT
    (_, first), (_, second), (_, third) = web.asked
    assert first is None
    # What was on its way when it broke may be lost with it, but not what came before.
    assert 0 < int(second[6:-1]) <= 70_000 < int(third[6:-1]) <= 120_000


def test_without_ranges_it_begins_anew(web, fetch):
    web.ranges, web.breaks = False, [70_000]
    assert fetch() == CONTENT


def test_a_file_that_changes_in_between_is_not_a_mixture(web, fetch):
    web.breaks = [70_000]
    web.tags["/a.npz"] = '"old"'
    other = CONTENT[::-1]

    class Changing(list):
        def append(self, asked):
            super().append(asked)
            if len(self) == 2:
                web.files["/a.npz"], web.tags["/a.npz"] = other, '"new"'

    web.asked = Changing()
    assert fetch() == other


def test_a_server_without_a_version_of_its_file_is_asked_for_all_of_it(web, fetch):
    web.tags["/a.npz"] = 'W/"weak"'
    web.breaks = [70_000]
    assert fetch() == CONTENT
    assert [asked for _, asked in web.asked] == [None, None]


def test_a_file_that_shrinks_is_begun_anew(web, fetch):
    web.breaks = [150_000]

    class Shrinking(list):
        def append(self, asked):
            super().append(asked)
            if len(self) == 2:
                web.files["/a.npz"] = CONTENT[:1000]

    web.asked = Shrinking()
    assert fetch() == CONTENT[:1000]
    assert len(web.asked) == 3


def test_a_server_that_is_busy_is_asked_again(web, fetch):
    web.statuses = [503, 429]
    assert fetch() == CONTENT


def test_a_connection_that_always_breaks_is_given_up(web, fetch):
    web.ranges = False
    web.breaks = [70_000] * 4
    with pytest.raises(
        ConnectionError, match=r"a.npz: the connection broke after [\d,]+ of 200,000"
    ):
        fetch()
    assert len(web.asked) == 4


def test_a_file_that_is_not_there_is_asked_for_once(web, fetch):
    with pytest.raises(FileNotFoundError, match=r"/b.npz: not there \(404 Not Found\)"):
        fetch("/b.npz")
    assert len(web.asked) == 1


def test_a_refusal_is_told(web, fetch):
    web.statuses = [403]
    with pytest.raises(ConnectionError, match="the server answers 403 Forbidden"):
        fetch()
    assert len(web.asked) == 1


def test_a_server_that_is_not_there_is_told(web, fetch):
    with pytest.raises(ConnectionError, match=r"cannot be reached \(.*refused.*\); tried 4 times"):
        download_web("http://127.0.0.1:9/a.npz", io.BytesIO())


def test_what_is_no_url_is_told():
    with pytest.raises(ValueError, match="not a URL"):
        download_web("http://", io.BytesIO())


@pytest.mark.parametrize("lengths", [True, False])
def test_more_than_may_come_is_refused_and_no_more_of_it_written(web, fetch, lengths):
    web.lengths = lengths  # By what the server announces, or where the file would grow too large.
    file = io.BytesIO()
    with pytest.raises(TooManyBytesError, match="a.npz: .* or more, where 100,000 are fetched"):
        download_web(web.url + "/a.npz", file, 100_000)
    assert len(file.getvalue()) <= (0 if lengths else 100_000)
    assert len(web.asked) == 1
    download_web(web.url + "/a.npz", io.BytesIO(), 200_000)
