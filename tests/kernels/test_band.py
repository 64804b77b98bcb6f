"""The displacement band follows from the architecture, walked backwards."""

import pytest

from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Flatten,
    conv,
    convnet,
    fc,
    myrtle,
)
from stillhouse.kernels.band import pair_levels, variance_levels


def _radii(levels):
    return [level.radius[0] for level in levels]


def test_the_bands_of_the_convnet_are_those_of_its_derivation():
    levels = pair_levels(convnet(), (32, 32))
    assert _radii(levels) == [7, 3, 1, 0]
    assert [level.shape for level in levels] == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert [level.relus for level in levels] == [2, 1, 1, 0]
    assert _radii(variance_levels(convnet(), (32, 32))) == [3, 1, 0]


def test_a_network_without_pools_needs_displacement_zero_only():
    assert _radii(pair_levels(conv(8), (32, 32))) == [0]


def test_a_global_average_needs_every_displacement():
    levels = pair_levels(myrtle(5), (32, 24))
    assert [level.radius for level in levels] == [(31, 23), (15, 11), (7, 5)]


def test_a_band_never_reaches_past_the_image():
    assert _radii(pair_levels(convnet(), (8, 8))) == [7, 3, 1, 0]
    assert [level.radius for level in pair_levels(convnet(), (9, 12))] == [
        (7, 7),
        (3, 3),
        (1, 1),
        (0, 0),
    ]
    assert pair_levels(convnet(1, pool=(5, 5)), (5, 5))[0].radius == (4, 4)


def test_windows_widen_the_band_by_their_own_size():
    levels = pair_levels(convnet(2, pool=(3, 2)), (30, 30))
    assert [level.radius for level in levels] == [(8, 3), (2, 1), (0, 0)]


def test_a_dense_relu_asks_for_the_whole_band_of_an_image_with_itself():
    dense = fc(1).dense_layers
    network = Architecture((*convnet(2).image_layers, Flatten(), *dense))
    assert variance_levels(network, (8, 8)) == pair_levels(network, (8, 8))


def test_a_network_without_relus_needs_no_variances():
    network = Architecture((AvgPool(), Flatten(), *fc(1).dense_layers[:1]))
    assert variance_levels(network, (8, 8)) == ()


def test_images_too_small_are_refused():
    with pytest.raises(ValueError, match="too small"):
        pair_levels(convnet(4), (8, 8))
