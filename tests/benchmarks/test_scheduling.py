import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "scheduling.py"


@pytest.mark.skipif(
    importlib.util.find_spec("grpc") is None, reason="workers and their server talk by gRPC"
)
def test_it_runs_and_writes_its_tables(tmp_path):
    # Blocks so short that the numbers mean nothing.
    flags = ["--workers", "6", "--seconds=0.05", "--rounds=3", "--processes=2"]
    flags += ["--simulated", "20", "--fleets", "2", "--no-steps"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *flags, "--write", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "scheduling.md").read_text()
    assert report == done.stdout
    *rows, fleet = re.findall(r"^\| \d+ \|.*$", report, re.MULTILINE)
    assert [row.split()[1:4:2] for row in rows] == [["6", "3"], ["20", "40"], ["20", "120"]]
    assert fleet.startswith("| 2 |")
    assert report.count("images") >= 3 and "MB of gradients" in report
