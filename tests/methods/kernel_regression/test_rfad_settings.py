from stillhouse.data.augmentation import FLIPS
from stillhouse.methods.kernel_regression.rfad_settings import RfadSettings


def test_flips_are_part_of_what_a_run_is_where_they_are_asked_for():
    assert RfadSettings().augmentation() is None and "flip" not in RfadSettings().identity()
    flipped = RfadSettings(flip=True)
    assert flipped.augmentation() == FLIPS and flipped.identity()["flip"]
