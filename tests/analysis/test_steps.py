import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from stillhouse.analysis.steps import draw_set, draw_step_sizes, rows_by_step, step_grid, steps_of
from stillhouse.data.card import Card, DatasetInfo
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import StepsRecipe

RECIPE = StepsRecipe(
    {"family": "mlp"}, "any", (0.1, 0.2, 0.3, 0.4), order=((0, 2), (1, 3)), epochs=2
)


@pytest.fixture
def distilled():
    info = DatasetInfo("spots", "ab" * 32, ("dot", "dash"), (3, 3, 1), (0.0, 1.0))
    card = Card("dd", {}, {}, 0, info, recipe=RECIPE)
    images = np.linspace(0, 1, 4 * 9, dtype=np.float32).reshape(4, 3, 3, 1)
    return DistilledSet(images, centred_one_hot(np.array([0, 0, 1, 1]), 2), None, card)


def test_images_stand_in_the_order_in_which_they_are_shown(distilled):
    assert rows_by_step(distilled).tolist() == [0, 2, 1, 3]
    card = dataclasses.replace(distilled.card, recipe=None)
    plain = dataclasses.replace(distilled, card=card)
    assert rows_by_step(plain).tolist() == [0, 1, 2, 3] and steps_of(plain) is None
    some = dataclasses.replace(RECIPE, order=((3,),), step_sizes=(0.1,))
    card = dataclasses.replace(distilled.card, recipe=some)
    assert rows_by_step(dataclasses.replace(distilled, card=card)).tolist() == [3, 0, 1, 2]


def test_each_epoch_has_a_curve_where_they_differ():
    axes = Figure().subplots()
    draw_step_sizes(axes, RECIPE)
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.1, 0.2], [0.3, 0.4]]
    axes = Figure().subplots()
    draw_step_sizes(axes, dataclasses.replace(RECIPE, step_sizes=(0.1, 0.2)))
    assert len(axes.lines) == 1


def test_a_set_is_drawn_as_it_is_used(distilled, tmp_path):
    draw_set(distilled, tmp_path / "set.png")
    step_grid(distilled, tmp_path / "steps.png")
    assert (tmp_path / "set.png").read_bytes() == (tmp_path / "steps.png").read_bytes()
    plain = dataclasses.replace(distilled, card=None)
    draw_set(plain, tmp_path / "plain.png")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "set.png").read_bytes()
    with pytest.raises(ValueError, match="in which steps"):
        step_grid(plain, tmp_path / "none.png")
    with pytest.raises(ValueError, match="must end in"):
        draw_set(distilled, tmp_path / "set.gif")
