import sys

import pytest

from stillhouse.launch import bars
from stillhouse.launch.bars import Bar


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second with each look at it."""
    now = iter(range(10**6))
    monkeypatch.setattr(bars.time, "monotonic", lambda: float(next(now)))


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_log_has_few_lines_and_fewer_the_longer_it_takes(clock, capsys):
    with Bar(4000, "training", unit="step", at_once=True) as bar:
        for i in range(4000):
            bar.say(details=f"loss {i}")
            bar.update()
    found = lines(capsys)
    assert found[0] == "training: step 1/4,000  loss 0"
    assert found[1] == "training: step 7/4,000  loss 6  66 min 33 s left"
    assert 60 < len(found) < 120


def test_what_is_soon_done_says_nothing(clock, capsys):
    with Bar(4, "evaluating") as bar:
        assert list(bar.over("abcd")) == list("abcd")
    assert (lines(capsys), bar.count) == ([], 4)


def test_a_total_that_is_not_known_is_not_shown(clock, capsys):
    with Bar(None, "training", unit="network", at_once=True) as bar:
        bar.update()
        bar.say(text="testing")
        for _ in range(7):
            bar.update()
    assert lines(capsys) == ["training: network 1", "testing: network 7"]


def test_a_terminal_has_a_bar_and_no_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Bar(10, "training", unit="step", at_once=True) as bar:
        for _ in range(10):
            bar.update()
    shown = capsys.readouterr().err
    assert "training:" in shown and "/10" in shown and "training: step" not in shown
