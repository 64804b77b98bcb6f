import numpy as np
import pytest

from stillhouse.data.pixel_images import PixelImages, seen_through
from stillhouse.data.transforms import fit_transform
from stillhouse.data.wire import WireError, pack, unpack

RAW = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), np.uint8)


@pytest.mark.parametrize("kind", ["standardise", "none"])
def test_pixels_become_the_very_bits_of_the_transform(kind):
    transform = fit_transform(kind, RAW)
    seen, expected = seen_through(transform, RAW), transform.apply(RAW)
    assert isinstance(seen, PixelImages)
    assert (seen.shape, seen.dtype, len(seen)) == (expected.shape, expected.dtype, len(expected))
    assert np.asarray(seen).tobytes() == expected.tobytes()
    assert np.asarray(seen[2:5], np.float32).tobytes() == expected[2:5].tobytes()


def test_whitened_images_and_floats_are_no_pixels():
    assert isinstance(seen_through(fit_transform("zca", RAW), RAW), np.ndarray)
    floats = RAW.astype(np.float32)
    assert isinstance(seen_through(fit_transform("standardise", floats), floats), np.ndarray)


def test_they_travel_as_a_quarter_of_the_bytes():
    images = np.random.default_rng(1).integers(0, 256, (64, 16, 16, 3), np.uint8)
    transform = fit_transform("standardise", images)
    seen, expected = seen_through(transform, images), transform.apply(images)
    packed = pack(seen)
    assert len(packed) < 0.35 * len(pack(expected))
    there = unpack(packed)
    assert there.tobytes() == expected.tobytes() and not there.flags.writeable
    # A slice is packed like the same pixels elsewhere.
    assert pack(seen[3:9]) == pack(PixelImages(images[3:9].copy(), seen.values))


@pytest.mark.parametrize("cut", [1, 3000])
def test_pixels_that_came_damaged_are_refused(cut):
    packed = pack(seen_through(fit_transform("none", RAW), RAW))
    with pytest.raises(WireError):
        unpack(packed[:-cut])
    with pytest.raises(WireError, match="checksum"):
        unpack(packed[:-1] + bytes([packed[-1] ^ 1]))


def test_wrong_tables_are_named():
    with pytest.raises(ValueError, match="`values` must be float32 .256, 3."):
        PixelImages(RAW, np.zeros((256, 1), np.float32))
    with pytest.raises(ValueError, match="`pixels` must be uint8"):
        PixelImages(RAW.astype(np.float32), np.zeros((256, 3), np.float32))
