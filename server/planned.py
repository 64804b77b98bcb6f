"""The tasks of a step, as far as their costs go."""

import dataclasses
from collections.abc import Iterable, Mapping

from stillhouse.kernels.tiling import Tile


@dataclasses.dataclass(frozen=True)
class PlannedTask:
    """A task as far as its costs go.

    Attributes:
        elements: kernel elements.
        blobs: the bytes of each of the images that a worker must have, by name.
        bytes_down: what is sent with the task itself, which is its cotangent.
        bytes_up: its results.
        kind: tasks of one kind take the same for each element.
        cost: how many times longer than in a forward pass an element takes.
    """

    elements: int
    blobs: Mapping[str, int]
    bytes_down: int = 0
    bytes_up: int = 0
    kind: str = ""
    cost: float = 1.0


def planned_step(
    tiles: Iterable[Tile], *, image_bytes: int, backward_cost: float = 2.0
) -> tuple[list[PlannedTask], list[PlannedTask]]:
    """Return the tasks of the two passes of a step.

    Args:
        tiles: of K_ss and K_ts.
        image_bytes: of one image.
        backward_cost: how many times longer than a forward pass a backward pass takes.
    """
    forward, backward = [], []
    for tile in tiles:
        n1, n2 = tile.rows[1] - tile.rows[0], tile.cols[1] - tile.cols[0]
        rows, cols = f"{tile.matrix[0]}{tile.rows}", f"s{tile.cols}"
        blobs = {rows: n1 * image_bytes, cols: n2 * image_bytes}
        block = 4 * n1 * n2
        # Of K_ts, only the support images have a derivative.
        gradients = blobs[cols] if tile.matrix == "ts" else sum(blobs.values())
        forward.append(PlannedTask(tile.elements, blobs, 0, block, "forward"))
        backward.append(
            PlannedTask(tile.elements, blobs, block, gradients, "backward", backward_cost)
        )
    return forward, backward
