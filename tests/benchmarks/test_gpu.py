"""The measurements of a GPU, where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.kernels.cuda import missing_reason

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.skipif(missing_reason() is None, reason="there is a GPU here")
def test_a_machine_without_a_gpu_is_told_so_in_a_line():
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "cuda backend" in line
