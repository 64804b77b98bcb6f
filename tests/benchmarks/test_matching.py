import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "matching.py"


@pytest.fixture(scope="module")
def matching():
    spec = importlib.util.spec_from_file_location("matching", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_sides_stand_beside_each_other_with_their_ratio(matching):
    steps = [(size, method) for size in ("28x28x1", "8x8x3") for method in matching.METHODS]
    ours = {(*step, "stillhouse"): 0.1 for step in steps}
    theirs = {(*step, "torch"): 0.25 for step in steps}
    table = matching.as_table(ours | theirs, ["stillhouse", "torch"])
    assert "| 28x28x1 | dm | 100 | 250 | 2.50 |" in table
    assert "| 8x8x3 | mtt | 100 | - |" in matching.as_table(ours, ["stillhouse"])
