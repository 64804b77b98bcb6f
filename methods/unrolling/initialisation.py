"""What networks start from: a seed, any seed, a pool of trained ones, or one file of weights."""

import dataclasses
import functools
import hashlib
from pathlib import Path

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.sampling import rng_for
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.pool import RECORD, Pool, read_weights

# Seeds to learn from lie above those by which sets are judged, which count from small numbers.
_FIRST_SEED, _SEEDS = 2**32, 2**62
_HELD_OUT = 4  # one in so many of a pool


@dataclasses.dataclass(frozen=True)
class Initialisation:
    """What networks start from.

    Attributes:
        kind: "fixed", "random", "pool" or "file".
        path: of the pool's folder, or of the file.
        flag: what messages call the setting.
    """

    kind: str
    path: str | None = None
    flag: str = "initialisation"

    @property
    def pool(self) -> Pool:
        """The pool.

        Raises:
            ValueError: if the folder holds none.
            OSError: if it cannot be read.
        """
        folder = Path(self.path or "").expanduser()
        record = folder / RECORD
        changed = record.stat().st_mtime_ns if record.exists() else 0
        return _opened(folder, changed)

    @property
    def file(self) -> Path:
        """The file of weights."""
        return Path(self.path or "").expanduser()

    def held_out(self, asked: int | None) -> int:
        """Return how many of the pool's last networks score the set, and nothing is learned from.

        Raises:
            ValueError: if none would be left to learn from.
        """
        count = len(self.pool)
        held = (count // _HELD_OUT or int(count > 1)) if asked is None else asked
        if held >= count:
            raise ValueError(
                f"`--held_out` {held} leaves none of the {count} networks of {self.pool.path} to "
                "learn from"
            )
        return held

    def check(self, spec: NetworkSpec, dataset: Dataset, transform: str) -> None:
        """Check that it is there, and fits network and data.

        Raises:
            ValueError: if it is of another network, of other images or of other classes.
            OSError: if it cannot be read.
        """
        shape, k = dataset.image_shape, dataset.num_classes
        if self.kind == "file":
            read_file(self.file, spec, shape, k)
        if self.kind != "pool":
            return
        info = self.pool.info
        found = {
            "network": (str(info.network), str(spec), info.network == spec),
            "image size": (*map(_size, (info.dataset.image_shape, shape)),
                           info.dataset.image_shape == shape),
            "number of classes": (len(info.dataset.class_names), k,
                                  len(info.dataset.class_names) == k),
            "transform": (info.transform, transform, info.transform == transform),
        }  # fmt: skip
        for what, (there, here, same) in found.items():
            if not same:
                raise ValueError(
                    f"`--{self.flag}`: the {what} of the pool {self.pool.path} is {there}, "
                    f"that of this run {here}; give another pool, or train one by `stillhouse "
                    "pretrain`"
                )

    @property
    def identity(self) -> str:
        """It without its path: a pool or a file is what is in it."""
        if self.kind == "pool":
            return f"pool (sha256 {self.pool.fingerprint[:16]})"
        if self.kind == "file":
            return f"file (sha256 {file_fingerprint(self.file)[:16]})"
        return self.kind


def parse_initialisation(text: str) -> Initialisation:
    """Return what `fixed`, `random`, `pool:FOLDER` or `file:WEIGHTS` stands for.

    Raises:
        ValueError: if it is none of these.
    """
    kind, colon, path = text.partition(":")
    alone = kind in ("fixed", "random") and not colon
    if not alone and not (kind in ("pool", "file") and path):
        raise ValueError(f"fixed, random, pool:FOLDER or file:WEIGHTS, got {text!r}")
    return Initialisation(kind, path or None)


def drawn_seeds(seed: int, step: int, count: int) -> list[int]:
    """Return the seeds of the random networks of a step, a pure function of the arguments."""
    drawn = rng_for(seed, "unrolled networks", step).integers(_FIRST_SEED, _SEEDS, count)
    return [int(one) for one in drawn]


def drawn_members(seed: int, step: int, members: int, count: int) -> list[int]:
    """Return which networks of a pool a step starts from: `count` different ones, or all."""
    rng = rng_for(seed, "unrolled members", step)
    return sorted(int(i) for i in rng.permutation(members)[:count])


def file_fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: if it cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_file(
    path: Path, spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int
) -> np.ndarray:
    """Return the weights of a network's file, float32 `[size]`.

    Raises:
        ValueError: if they are of another network.
        OSError: if they cannot be read.
    """
    layout = build_network(spec, image_shape, num_classes).layout
    try:
        return read_weights(path, layout)
    except ValueError as error:
        raise ValueError(f"{error}; these are no weights of a {spec} for such images") from error


@functools.lru_cache(maxsize=4)
def _opened(folder: Path, changed: int) -> Pool:
    return Pool(folder)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
