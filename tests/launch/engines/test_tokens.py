import os
import stat

import pytest

from stillhouse.launch.engines.tokens import VARIABLE, given_token, make_token, read_token, same


def test_it_is_made_once_for_its_owner_alone(tmp_path):
    file, before = tmp_path / "token", os.umask(0)
    try:
        token = make_token(file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token) >= 32 and make_token(file) == token == read_token(file)
    assert make_token(tmp_path / "other") != token


def test_where_there_is_none_there_is_none(tmp_path, monkeypatch):
    assert read_token(tmp_path / "token") is None
    (tmp_path / "token").touch()  # It is just being made.
    assert read_token(tmp_path / "token") is None
    monkeypatch.delenv(VARIABLE, raising=False)
    assert given_token() is None


@pytest.mark.parametrize("text", ["short", "with a space in its middle", "x" * 600, "ä" * 20, "\n"])
def test_what_is_none_is_named(tmp_path, monkeypatch, text):
    (tmp_path / "token").write_text(text)
    for read in (read_token, make_token):
        with pytest.raises(ValueError, match="token holds no token"):
            read(tmp_path / "token")
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ValueError, match=f"{VARIABLE} holds no token"):
        given_token()


def test_they_are_compared():
    assert same("abc", "abc") and same(b"abc", "abc")
    assert not same("abd", "abc") and not same("ä", "abc") and not same("", "abc")
