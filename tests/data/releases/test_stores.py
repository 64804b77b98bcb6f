import sys

import pytest

from stillhouse.data.releases.stores import (
    beside,
    inside,
    is_web,
    local_path,
    open_store,
    scheme_of,
)


@pytest.mark.parametrize(
    ("location", "scheme", "path"),
    [
        ("releases", "file", "releases"),
        ("/data/a b", "file", "/data/a b"),
        ("file:///data/a%20b", "file", "/data/a b"),
        ("FILE:///data", "file", "/data"),
        ("https://x.org/a", "https", None),
        ("s3://bucket/a", "s3", None),
    ],
)
def test_an_address_says_where_it_leads(location, scheme, path):
    assert (scheme_of(location), local_path(location)) == (scheme, path)
    assert is_web(location) == (scheme == "https")


def test_names_beside_and_inside():
    assert beside("https://x.org/a/index.csv?token=1/2", "b/c.npz") == "https://x.org/a/b/c.npz"
    assert beside("index.csv", "b.npz") == "b.npz"
    assert inside("s3://bucket/a/", "index.csv") == "s3://bucket/a/index.csv"


@pytest.mark.parametrize(("scheme", "driver"), [("s3", "s3fs"), ("gs", "gcsfs"), ("gcs", "gcsfs")])
def test_a_driver_that_is_missing_is_named_by_its_extra(monkeypatch, scheme, driver):
    monkeypatch.setitem(sys.modules, driver, None)  # as where it is not installed
    extra = "s3" if scheme == "s3" else "gs"
    with pytest.raises(ValueError, match=rf"{scheme}://.*pip install 'stillhouse\[{extra}\]'"):
        open_store(f"{scheme}://bucket/index.csv")


def test_a_scheme_that_nobody_knows_is_one_line():
    with pytest.raises(ValueError, match="unknown scheme s33://, expected a path, file://, https"):
        open_store("s33://bucket/index.csv")
