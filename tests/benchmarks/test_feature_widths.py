import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "feature_widths.py"


@pytest.fixture(scope="module")
def feature_widths():
    spec = importlib.util.spec_from_file_location("feature_widths", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_wider_networks_predict_nearer_to_the_exact_kernel(feature_widths, monkeypatch, capsys):
    flags = [
        *("--architecture=fc", "--depth=2", "--ipc=2", "--targets=60", "--draws=3"),
        *("--widths", "16", "16,256", "256,256"),
    ]
    monkeypatch.setenv("NPROC", "1")
    monkeypatch.setattr(sys, "argv", ["feature_widths.py", *flags])
    feature_widths.main()
    headline, *_, narrow, tapered, wide = capsys.readouterr().out.splitlines()
    assert headline.startswith("8 networks, fc on digits, 20 images")
    errors = [float(row.split(" | ")[1]) for row in (narrow, tapered, wide)]
    assert errors[0] > errors[1] > errors[2] > 0
    assert narrow.endswith(" 1.00 |")
