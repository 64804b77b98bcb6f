"""Make a folder of images, one subfolder for each class, and distil it.

    python examples/image_folder.py

On the command line the second half is `stillhouse distill --dataset=shapes --ipc=1 --steps=100`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import stillhouse as sh

root = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()) / "shapes"
rng = np.random.default_rng(0)
for split, many in (("train", 60), ("test", 30)):
    for shape in ("circle", "cross", "square"):
        folder = root / split / shape
        folder.mkdir(parents=True)
        for i in range(many):
            size = int(rng.integers(18, 25))  # Photographs have no one size either.
            picture = Image.new("RGB", (size, size), tuple(rng.integers(0, 100, 3).tolist()))
            draw = ImageDraw.Draw(picture)
            colour = tuple(rng.integers(120, 256, 3).tolist())
            x, y = rng.integers(2, 6, 2).tolist()
            box = (x, y, x + 11, y + 11)
            if shape == "circle":
                draw.ellipse(box, fill=colour)
            elif shape == "square":
                draw.rectangle(box, fill=colour)
            else:
                draw.line((x, y + 5, x + 11, y + 5), fill=colour, width=3)
                draw.line((x + 5, y, x + 5, y + 11), fill=colour, width=3)
            picture.save(folder / f"{i}.png")

dataset = sh.load_dataset(root, image_size=(16, 16))
print(*dataset.notes, sep="\n")
distilled = sh.distill(dataset, architecture="fc", ipc=1, steps=100)
accuracy = distilled.card.scores["test_accuracy"]
print(f"{len(distilled.images)} images of {', '.join(dataset.class_names)}: {accuracy:.3f} right")
