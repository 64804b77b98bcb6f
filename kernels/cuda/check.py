"""Whether the loops on a GPU are to be trusted there: a small block and its vjp beside xla's.

The verdict is kept in the cache, for one device, one compiler and one program: the next process
asks no more.
"""

import json
import logging
from pathlib import Path

import numpy as np

from stillhouse.kernels.cuda.compiler import cache_folder, fingerprint, write_whole
from stillhouse.kernels.cuda.device import Device
from stillhouse.kernels.cuda.plan import make_plan
from stillhouse.kernels.cuda.program import source
from stillhouse.kernels.kernel import Kernel

_LOGGER = logging.getLogger(__name__)

# Of the largest entry. Both backends are within some 1e-6 of float64 for images that are not alike.
_TOLERANCE = 2e-5
_IMAGES = 3, 5  # on either side: parts of blocks are empty


def agrees(
    kernel: Kernel, reference: Kernel, image_shape: tuple[int, int, int], device: Device
) -> bool:
    """Return whether a kernel agrees with another on a device, now or when it was asked before.

    Args:
        kernel: computed by the device's loops.
        reference: what it is held against.
        image_shape: `[h, w, c]`.
        device: the device.
    """
    assert kernel.spec is not None
    program = source(make_plan(kernel.spec, image_shape, device.shared_bytes))
    path = cache_folder() / f"{fingerprint(program, device.toolchain, device.name)}.json"
    known = _read(path)
    if known is None:
        known = _differences(kernel, reference, image_shape)
        text = {"device": device.name, "toolchain": device.toolchain, "differences": known}
        write_whole(path, json.dumps(text, indent=1).encode())
        _LOGGER.info("the cuda backend and xla differ by %s on %s", known, device.name)
    # Not `<` turned round: a difference that is NaN is none that is small.
    return all(value <= _TOLERANCE for value in known)


def _differences(
    kernel: Kernel, reference: Kernel, image_shape: tuple[int, int, int]
) -> list[float]:
    rng = np.random.default_rng(0)
    x1, x2 = (rng.standard_normal((n, *image_shape), np.float32) for n in _IMAGES)
    cotangent = rng.standard_normal(_IMAGES, np.float32)
    results = []
    for computed in (kernel, reference):
        results.append([computed.block(x1, x2), *computed.vjp(x1, x2, cotangent)])
    return [float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(*results, strict=True)]


def _read(path: Path) -> list[float] | None:
    try:
        return [float(value) for value in json.loads(path.read_text())["differences"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
