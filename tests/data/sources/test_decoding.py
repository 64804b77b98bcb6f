import io
import re

import numpy as np
import pytest
from PIL import Image

from stillhouse.data.sources.decoding import ImageStack, decode_image, decoding_pool


@pytest.fixture
def colour(rng):
    return rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)


@pytest.fixture
def grey(rng):
    return rng.integers(0, 256, (5, 4, 1), dtype=np.uint8)


def stacked(files):
    stack = ImageStack(len(files))
    with decoding_pool() as pool:
        stack.extend(files, pool)
    return stack.images()


def test_png_files_come_back_exactly(colour, grey, encode):
    np.testing.assert_array_equal(decode_image(encode(colour)), colour)
    np.testing.assert_array_equal(decode_image(encode(grey)), grey)


def test_jpeg_files_come_back_nearly(encode):
    smooth = np.broadcast_to(np.arange(0, 160, 5, dtype=np.uint8)[:, None, None], (32, 32, 3))
    decoded = decode_image(encode(np.ascontiguousarray(smooth), "JPEG"))
    assert np.abs(decoded.astype(int) - smooth).max() < 8


def test_bilevel_images_are_grey(encode):
    bits = np.array([[True, False], [False, True]])
    decoded = decode_image(encode(Image.fromarray(bits)))
    np.testing.assert_array_equal(decoded[..., 0], [[255, 0], [0, 255]])


def test_palette_images_are_colour(encode):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([0, 1])
    np.testing.assert_array_equal(decode_image(encode(image)), [[[10, 20, 30], [200, 100, 0]]])


def test_transparency_is_laid_on_white(encode):
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [100, 100, 100, 128]]], dtype=np.uint8)
    decoded = decode_image(encode(rgba))
    np.testing.assert_array_equal(decoded[0, :2], [[10, 20, 30], [255, 255, 255]])
    np.testing.assert_allclose(decoded[0, 2], 255 - 155 * 128 / 255, atol=1)


def test_grey_images_with_transparency_stay_grey(encode):
    image = Image.fromarray(np.array([[[50, 255], [50, 0]]], dtype=np.uint8), "LA")
    np.testing.assert_array_equal(decode_image(encode(image)), [[[50], [255]]])


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([0, 1])
    image.save(tmp_path / "p.png", transparency=0)
    decoded = decode_image((tmp_path / "p.png").read_bytes())
    np.testing.assert_array_equal(decoded, [[[255, 255, 255], [200, 100, 0]]])


def test_sixteen_bits_are_refused(encode):
    deep = Image.fromarray(np.array([[0, 40000]], dtype=np.uint16))
    with pytest.raises(ValueError, match="mode 'I;16': expected 8 bits a channel"):
        decode_image(encode(deep))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"no image at all"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(ValueError, match=f"{len(data)} bytes that are no image file"):
        decode_image(data)


def test_damage_is_reported_or_decodes_to_some_image(colour, encode, damaged):
    for file_format in ("PNG", "JPEG"):
        reported = 0
        for data in damaged(encode(colour, file_format)):
            try:
                decode_image(data)
            except ValueError as error:
                assert re.search("cannot decode|no image file|8 bits", str(error))
                reported += 1
        assert reported >= 5


def test_a_stack_keeps_the_order_over_many_parts(rng, encode):
    images = rng.integers(0, 256, (700, 3, 2, 1), dtype=np.uint8)
    np.testing.assert_array_equal(stacked([encode(image) for image in images]), images)


@pytest.mark.parametrize("first", ["grey", "colour"])
def test_one_colour_image_makes_the_stack_colour(grey, colour, encode, first):
    images = [grey, colour] if first == "grey" else [colour, grey]
    result = stacked([encode(image) for image in images])
    for got, image in zip(result, images, strict=True):
        np.testing.assert_array_equal(got, np.broadcast_to(image, (5, 4, 3)))


def test_mixed_sizes_name_the_row_and_both_sizes(colour, encode):
    files = [encode(colour)] * 200 + [encode(colour[:4])]
    with pytest.raises(ValueError, match="one size: row 200 is 4x4, row 0 is 5x4"):
        stacked(files)


def test_a_bad_row_is_named(colour, encode):
    files = [encode(colour)] * 150
    files[140] = files[140][:50]
    with pytest.raises(ValueError, match="row 140: cannot decode the image"):
        stacked(files)
    stack = ImageStack(300)
    with decoding_pool() as pool, pytest.raises(ValueError, match="row 290: cannot decode"):
        stack.extend([encode(colour)] * 150, pool)
        stack.extend(files, pool)
    files[130] = None
    with pytest.raises(ValueError, match="row 130 has no image bytes"):
        stacked(files)


def turned(half, orientation, file_format="JPEG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(half).save(buffer, file_format, exif=exif, quality=100)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_images_stand_upright_as_their_exif_data_say(file_format, orientation, turn):
    half = np.zeros((8, 12, 3), np.uint8)
    half[:4, 6:] = 255
    decoded = decode_image(turned(half, orientation, file_format))
    assert decoded.shape == turn(half).shape
    assert np.abs(decoded.astype(int) - turn(half)).max() < 90  # JPEG, at the edge
    assert np.abs(decoded.astype(int) - turn(half)).mean() < 3


def test_a_lying_image_among_upright_ones_is_of_another_size(encode):
    files = [encode(np.zeros((8, 12, 3), np.uint8)), turned(np.zeros((8, 12, 3), np.uint8), 6)]
    with pytest.raises(ValueError, match=r"row 1 is 12x8, row 0 is 8x12; .*`image_size=\(8, 12\)`"):
        stacked(files)


def test_other_sizes_are_resized_if_asked_for(rng, encode):
    files = [encode(rng.integers(0, 256, (h, 6, 3), dtype=np.uint8)) for h in (6, 12, 3)]
    stack = ImageStack(3, size=(6, 6))
    with decoding_pool() as pool:
        stack.extend(files, pool)
    assert stack.images().shape == (3, 6, 6, 3)
    assert stack.resized == 2
    np.testing.assert_array_equal(stack.images()[0], decode_image(files[0]))


def test_an_image_far_larger_than_its_file_is_refused_before_it_is_decoded(encode):
    huge = encode(Image.new("1", (9_000, 9_000)))
    assert len(huge) < 100_000
    with pytest.raises(ValueError, match="9000x9000 is larger than 67,108,864 pixels"):
        decode_image(huge)
    with pytest.raises(ValueError, match="row 1 is 9000x9000, row 0 is 1x1"):
        stacked([encode(np.zeros((1, 1, 3), np.uint8)), huge])


def test_a_size_to_which_memory_does_not_suffice_is_refused_before_anything_is_resized():
    with pytest.raises(ValueError, match="takes 1,200.0 GB of memory"):
        ImageStack(100_000, size=(2000, 2000))


def test_fewer_and_more_images_than_announced_are_an_error(colour, encode):
    stack = ImageStack(2, max_bytes=10**6)
    with decoding_pool() as pool:
        stack.extend([encode(colour)], pool)
        with pytest.raises(ValueError, match="1 images, where 2 were announced"):
            stack.images()
        with pytest.raises(ValueError, match="more images than the 2"):
            stack.extend([encode(colour)] * 2, pool)
    with decoding_pool() as pool, pytest.raises(ValueError, match="of memory, where 10 bytes"):
        ImageStack(2, max_bytes=10).extend([encode(colour)], pool)
