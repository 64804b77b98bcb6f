import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "transports.py"


def test_it_runs_and_writes_its_table(tmp_path):
    # So short that the numbers mean nothing.
    flags = ["--calls", "small", "--seconds=0.2", "--threads=2", "--idle=5", "--watch=0.5"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *flags, "--write", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "transports.md").read_text()
    assert report == done.stdout
    by = re.findall(r"^\| sign of life \| (\w+) \| [\d,]+ \| - \| [\d,]+ us \|", report, re.M)
    assert by == (["gRPC", "Courier"] if sys.version_info < (3, 11) else ["gRPC"])
    assert re.search(r"5 idle workers, .* cost the server [\d.]+% of a core", report)
