"""The example is run as its first lines say."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "image_folder.py"


def test_a_folder_of_images_is_made_and_distilled(tmp_path):
    command = [sys.executable, str(EXAMPLE), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "shapes").rglob("*.png"))) == 270
    assert re.search(r"\d+ images of other sizes are resized to 16x16\n", done.stdout)
    (accuracy,) = re.findall(r"3 images of circle, cross, square: ([\d.]+) right", done.stdout)
    assert float(accuracy) > 0.6  # A third are right by chance.
