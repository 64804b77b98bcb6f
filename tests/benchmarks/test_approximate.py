import sys

import pytest


def test_the_three_ways_are_timed_scored_and_drawn(script, monkeypatch, capsys, tmp_path):
    flags = [
        *("--architecture=fc", "--depth=1", "--ipc", "1", "--seconds=0.3", "--target_batch=50"),
        *("--tests=100", f"--out={tmp_path / 'curves.png'}"),
    ]
    monkeypatch.setenv("NPROC", "1")
    monkeypatch.setattr(sys, "argv", ["approximate.py", *flags])
    script.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 1 |")]
    assert [row.split(" | ")[1] for row in rows] == list(script.WAYS)
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_run_that_is_too_short_has_no_curve(script):
    assert script.row(50, "exact", 776.0, []) == "| 50 | exact | 776 | - | - | - | - | - |"
    row = script.row(1, "cached", 0.05, [(s, 0.9) for s in range(5)])
    assert row.count("0.9000") == 5


def test_errors_fall_with_the_root_of_the_networks(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(script, "MOST_NETWORKS", 64)
    flags = ["--errors", "--architecture=fc", "--depth=1", f"--out={tmp_path / 'errors.png'}"]
    monkeypatch.setattr(sys, "argv", ["approximate.py", *flags])
    script.main()
    *_, narrow, wide = capsys.readouterr().out.splitlines()
    narrow, wide = ([float(e) for e in row.split(" | ")[1:-1]] for row in (narrow, wide))
    assert narrow[0] / narrow[4] == pytest.approx(4, rel=0.6)
    assert narrow[2] / wide[2] == pytest.approx(2, rel=0.6)
    assert (tmp_path / "errors.png").stat().st_size > 1000
