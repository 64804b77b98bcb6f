"""The example is run as its first lines say, on a smaller set."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stillhouse as sh

pytest.importorskip("torch", reason="the example trains a PyTorch network")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_pytorch.py"


def test_a_network_trained_on_ten_images_reads_most_digits(tmp_path):
    digits = sh.load_dataset("digits")
    distilled = sh.distill(
        *(digits.x_train, digits.y_train, digits.x_test, digits.y_test),
        architecture="fc",
        steps=60,
    )
    distilled.save(tmp_path / "digits.npz")
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "digits.npz"), "digits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (accuracy,) = re.findall(r"trained on 10 images: test accuracy ([\d.]+)\n", done.stdout)
    assert float(accuracy) > 0.6
