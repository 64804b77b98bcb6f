import numpy as np
import pytest

from stillhouse.data.records import from_plain, to_plain
from stillhouse.data.siamese import (
    KINDS,
    SiameseAugmentation,
    expected_kinds,
    siamese_augmentation,
)


def test_a_draw_is_a_function_of_seed_and_stream():
    augmentation = SiameseAugmentation()
    draws = [augmentation.draw(3, "step", 7) for _ in range(2)]
    assert draws[0].kind == draws[1].kind
    assert draws[0].numbers.tobytes() == draws[1].numbers.tobytes()
    assert draws[0].numbers.shape == (1, 3)
    other = augmentation.draw(3, "step", 8)
    assert other.numbers.tobytes() != draws[0].numbers.tobytes()


def test_each_kind_is_drawn_about_as_often_and_no_other_is():
    augmentation = SiameseAugmentation(("crop", "rotate", "color"))
    kinds = [KINDS[augmentation.draw(0, step).kind] for step in range(300)]
    assert set(kinds) == {"crop", "rotate", "color"}
    assert all(70 <= kinds.count(kind) <= 130 for kind in set(kinds))


def test_every_image_has_numbers_of_its_own_where_asked():
    numbers = SiameseAugmentation().draw(0, images=50).numbers
    assert numbers.shape == (50, 3)
    assert len(np.unique(numbers)) == 150
    assert numbers.min() >= 0 and numbers.max() < 1


def test_what_a_setting_says():
    assert siamese_augmentation(("dsa",)) == SiameseAugmentation(KINDS)
    assert siamese_augmentation(("flip",)) == SiameseAugmentation(("flip",))
    assert siamese_augmentation(()) is None
    assert siamese_augmentation(("none",)) is None


def test_it_turns_to_json_and_back():
    augmentation = SiameseAugmentation(("crop", "color"))
    assert from_plain(SiameseAugmentation, to_plain(augmentation)) == augmentation


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (("colour",), "did you mean color?"),
        (("crop", "rotation"), "did you mean rotate?"),
        (("crop", "crop"), "each once"),
        (("none", "crop"), "some of color, crop"),
    ],
)
def test_a_wrong_kind_is_named_with_the_nearest(names, hint):
    assert hint in expected_kinds(names)
    with pytest.raises(ValueError, match="`kinds` must be some of color, crop"):
        SiameseAugmentation(names)
