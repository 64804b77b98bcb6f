import pytest
from PIL import Image

from stillhouse.analysis.train_result import CurvePoint, SeedResult, TrainResult
from stillhouse.analysis.training_figures import training_curves


def result(*runs):
    return TrainResult(runs, 100, 10, 50)


def run(seed, *points):
    return SeedResult(seed, 0.5, points[-1].test_accuracy if points else None, None, 1.0, points)


def test_curves_of_all_sets_and_seeds_are_drawn(tmp_path):
    first = run(0, CurvePoint(1, 0.5, 0.1), CurvePoint(5, 0.1, 1.0, 0.8))
    untested = run(1, CurvePoint(1, 0.4, 0.2))
    none = run(2)  # It diverged at once.
    training_curves(
        {"distilled": result(first, none), "random": result(untested)}, tmp_path / "a.png"
    )
    with Image.open(tmp_path / "a.png") as drawn:
        assert drawn.width > 1000
        both = len(drawn.convert("RGB").getcolors(2**24))
    training_curves({"distilled": result(none, none)}, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as drawn:
        assert len(drawn.convert("RGB").getcolors(2**24)) < both
    with pytest.raises(ValueError, match="must end in"):
        training_curves({}, tmp_path / "a.gif")
