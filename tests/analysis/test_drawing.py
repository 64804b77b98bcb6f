import numpy as np
import pytest

from stillhouse.analysis.drawing import short, shown_pixels


def test_pixels_are_shown_on_the_scale_of_the_real_ones():
    raw = np.array([-10.0, 0.0, 51.0, 255.0, 300.0]).reshape(1, 1, 5, 1)
    np.testing.assert_allclose(shown_pixels(raw, (0.0, 255.0)), [[[0, 0, 0.2, 1, 1]]])


@pytest.mark.parametrize(("channels", "shape"), [(1, ()), (3, (3,)), (2, ()), (4, ())])
def test_only_three_channels_have_colours(channels, shape):
    raw = np.random.default_rng(0).random((2, 5, 4, channels))
    assert shown_pixels(raw, (0.0, 1.0)).shape == (2, 5, 4, *shape)


def test_without_a_scale_it_is_that_of_the_images():
    raw = np.random.default_rng(0).normal(7, 3, (20, 8, 8, 1))
    shown = shown_pixels(raw, None)
    assert shown.min() == 0 and shown.max() == 1 and 0.4 < shown.mean() < 0.6
    assert np.isfinite(shown_pixels(np.full((1, 2, 2, 1), 3.0), None)).all()


def test_long_names_are_cut():
    assert short("aeroplane", 9) == "aeroplane" and short("aeroplanes", 9) == "aeroplan…"
