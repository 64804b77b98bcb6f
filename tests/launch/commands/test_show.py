import numpy as np
import pytest
from PIL import Image


def test_a_set_is_drawn_and_named(stillhouse, finished, tmp_path):
    result = stillhouse("show", finished / "distilled.npz", "--out=grid.png")
    assert result.code == 0
    assert result.out == f"grid.png: 3 images of {finished}/distilled.npz\n"
    with Image.open(tmp_path / "grid.png") as picture:
        picture.load()
        shades = len(np.unique(np.asarray(picture.convert("L"))))
    assert shades > 50


def test_any_images_and_labels_can_be_drawn(stillhouse, spots, tmp_path):
    assert stillhouse("show", spots, "--out=spots.svg").code == 0
    assert (tmp_path / "spots.svg").read_text().count("<image") == 240


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.npz"], "no such distilled set: none.npz; name its file, such as runs/"),
        (["{set}", "--out=grid.gif"], "must end in .png, .pdf, .svg"),
        (["{set}", "--out=no/grid.png"], "no: no such folder"),
        (["{set}", "--out=/dev/null/grid.png"], "/dev/null: not a folder"),
        ([], "FILE is missing"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(refused, finished, arguments, says):
    filled = [argument.format(set=finished / "distilled.npz") for argument in arguments]
    assert says in refused("show", *filled)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"an image"])
def test_a_damaged_file_is_one_line(refused, tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    assert "x.npz" in refused("show", "x.npz")
