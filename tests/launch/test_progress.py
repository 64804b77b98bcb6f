import logging
import re

import pytest
from absl import logging as absl_logging

from stillhouse.launch.progress import ProgressReporter, short_time
from stillhouse.server.schedule import Progress


@pytest.fixture(autouse=True)
def verbose():
    """As the command sets it."""
    logger = absl_logging.get_absl_logger()
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


def report(log, capsys, events, **options):
    with ProgressReporter(log, **options) as reporter:
        for event in events:
            reporter(event)
    return capsys.readouterr().err


def steps(first, last, test_at=()):
    for step in range(first, last + 1):
        values = {"loss": 0.5 / (step + 1), "accuracy": 0.25}
        if step in test_at:
            values["test_accuracy"] = 0.875
        yield Progress(step, 10, values, speeds={"kernel elements": 2_000_000.0})


def test_a_terminal_has_a_bar_with_all_that_matters(tmp_path, capsys):
    shown = report(tmp_path / "log", capsys, steps(0, 10, test_at=(0, 5, 10)), bar=True)
    last = shown.replace("\n", "\r").rstrip("\r").split("\r")[-1]
    for text in ("100%", "10/10", "left", "loss 0.04545", "accuracy 0.250", "test 0.875"):
        assert text in last
    assert "2.00M kernel elements/s" in last


def test_a_bar_goes_on_from_where_the_run_was(tmp_path, capsys):
    shown = report(tmp_path / "log", capsys, steps(4, 10), bar=True)
    assert "40%" in shown and " 4/10" in shown
    assert " 1/10" not in shown


def test_the_log_has_a_line_for_each_evaluation(tmp_path, capsys):
    report(tmp_path / "log", capsys, steps(0, 10, test_at=(0, 5, 10)), bar=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [re.search(r"step \d+/10", line)[0] for line in lines] == [
        "step 0/10",
        "step 5/10",
        "step 10/10",
    ]
    assert "test 0.875" in lines[1] and "loss" in lines[1]


def test_without_a_terminal_the_lines_are_shown_and_no_bar(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("stillhouse.launch.progress._MOST_SECONDS_BETWEEN_LINES", 0.0)
    shown = report(tmp_path / "log", capsys, steps(3, 6))
    assert "%|" not in shown
    text = (tmp_path / "log").read_text()
    assert "going on after step 3" in text
    assert "step 6/10" in text


def test_time_left_is_told_once_it_is_known(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("stillhouse.launch.progress._MOST_SECONDS_BETWEEN_LINES", 0.0)
    now = iter(1000.0 + 2 * i for i in range(100))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    report(tmp_path / "log", capsys, steps(0, 3))
    lines = (tmp_path / "log").read_text().splitlines()
    assert ["left" in line for line in lines] == [False, False, True, True]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (200, "3 min 20 s"), (18720, "5 h 12 min")],
)
def test_times_are_short(seconds, text):
    assert short_time(seconds) == text
