import pytest

from stillhouse.data.augmentation import FLIPS
from stillhouse.methods.kernel_regression.rfad_settings import RfadSettings


def test_flips_are_part_of_what_a_run_is_where_they_are_asked_for():
    assert RfadSettings().augmentation() is None and "flip" not in RfadSettings().identity()
    flipped = RfadSettings(flip=True)
    assert flipped.augmentation() == FLIPS and flipped.identity()["flip"]


def test_runs_of_before_which_did_not_say_their_widths_go_on():
    assert "widths" not in RfadSettings().identity()
    by_flags, from_python = RfadSettings(widths=("16", "64")), RfadSettings(widths=(16, 64))
    assert by_flags.identity()["widths"] == ["16", "64"] and by_flags == from_python


@pytest.mark.parametrize("width", ["0", "-4", "4.5", "wide", ""])
def test_a_width_is_a_whole_number(width):
    with pytest.raises(ValueError, match="--widths` must be whole numbers from 1 on"):
        RfadSettings(widths=("16", width))


def test_a_width_for_all_layers_and_one_for_each_are_not_given_together():
    RfadSettings().check_given(frozenset({"widths"}))
    with pytest.raises(ValueError, match="give one"):
        RfadSettings().check_given(frozenset({"width", "widths"}))
