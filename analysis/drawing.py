"""What all pictures share: colours, the pixels of an image, and how a figure becomes a file.

Drawn by matplotlib's figures alone, without pyplot: no window, no global state.
"""

import io
import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from stillhouse.data.atomic import write_bytes

FORMATS = (".png", ".pdf", ".svg")
OWN, OTHER, INK, FAINT = "#1f5fa8", "#9db4cc", "#222222", "#cccccc"
_DPI = 150


def check_format(path: str | os.PathLike[str]) -> str:
    """Return the format that a picture's name asks for: "png", "pdf" or "svg".

    Raises:
        ValueError: if it asks for another, or for none.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        raise ValueError(f"a picture must end in {', '.join(FORMATS)}, got {os.fspath(path)!r}")
    return suffix[1:]


def shown_pixels(raw: np.ndarray, pixel_range: tuple[float, float] | None) -> np.ndarray:
    """Return raw images as a screen shows them, float64 `[s, h, w]` or `[s, h, w, 3]` in 0..1.

    What has neither one channel nor three has no colours of its own, and is shown in grey.

    Args:
        raw: the images, `[s, h, w, c]`.
        pixel_range: the scale of the real pixels, beyond which values are clipped; None for the
            images' own, without the most extreme of theirs.
    """
    low, high = np.percentile(raw, [0.5, 99.5]) if pixel_range is None else pixel_range
    images = np.clip((raw.astype(np.float64) - low) / max(high - low, 1e-12), 0.0, 1.0)
    return images if images.shape[3] == 3 else images.mean(axis=3)


def clean(axes: Axes) -> None:
    """Leave of a chart's frame what is needed to read it."""
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def two_charts() -> tuple[Figure, Axes, Axes]:
    """Return a figure and its two charts side by side, with room for the numbers of any scale.

    Fixed, since to look for the room that they need takes as long as to draw them.
    """
    figure = Figure(figsize=(9, 3.4))
    room = {"left": 0.09, "right": 0.985, "bottom": 0.15, "top": 0.9, "wspace": 0.22}
    left, right = figure.subplots(1, 2, gridspec_kw=room)
    return figure, left, right


def short(text: str, length: int) -> str:
    """Return a text of at most `length` letters, with an ellipsis where some were cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def rendered(figure: Figure, format: str = "png", *, dpi: int = _DPI) -> bytes:
    """Return a figure as the content of a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, dpi=dpi, facecolor="white")
    return buffer.getvalue()


def png_of(image: Image.Image) -> bytes:
    """Return an image as the content of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically.

    Raises:
        ValueError: if the name ends otherwise than in one of `FORMATS`.
        OSError: if the file cannot be written.
    """
    write_bytes(path, rendered(figure, check_format(path)))
