"""A pool: a folder of networks that were trained on real images, to be read again.

`pool.json` says what they are and how good; `network-0000.npz` and so on hold their weights by
name; `network-0000/step-000468.npz` and so on, where asked for, those along the way. Weights have
the shapes `[outputs, inputs, ...]` that PyTorch uses too.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.data.archive import npz_names, read_npz
from stillhouse.data.card import DatasetInfo
from stillhouse.data.records import from_plain, to_plain
from stillhouse.data.transforms import Transform, transform_from_arrays
from stillhouse.networks import build_network
from stillhouse.networks.spec import NetworkSpec
from stillhouse.networks.training_spec import TrainingSpec

if TYPE_CHECKING:
    from stillhouse.networks.network import Network

FORMAT_VERSION = 1
RECORD = "pool.json"
TRANSFORM = "transform.npz"


@dataclasses.dataclass(frozen=True)
class Member:
    """A network of a pool.

    Attributes:
        seed: of its weights, its images and their order.
        test_accuracy: the share of test images whose class it predicts.
        train_accuracy: the share of training images, each as it was met in the last epoch.
        train_loss: the mean loss of the last epoch.
    """

    seed: int
    test_accuracy: float
    train_accuracy: float
    train_loss: float


@dataclasses.dataclass(frozen=True)
class PoolInfo:
    """What the networks of a pool have in common: pools that differ in it are different ones.

    Attributes:
        network: which network.
        training: how each was trained.
        dataset: on what.
        transform: the kind of transform through which they see images.
        classes: the numbers of the classes whose images they saw; empty for all.
        train_images: how many images each was trained on.
        seed: of the first network; those of the others follow it.
    """

    network: NetworkSpec
    training: TrainingSpec
    dataset: DatasetInfo
    transform: str
    classes: tuple[int, ...]
    train_images: int
    seed: int

    @property
    def snapshot_steps(self) -> tuple[int, ...]:
        """After which steps there are snapshots: none, or from 0 to the last one."""
        return self.training.snapshot_steps(self.train_images)

    def build(self) -> "Network":
        """Return the network that takes the weights."""
        return build_network(self.network, self.dataset.image_shape, len(self.dataset.class_names))


class Pool:
    """The networks of a pool that is finished.

    Args:
        path: its folder.

    Attributes:
        path: the folder.
        info: what the networks have in common.
        members: each network: its seed and how good it is.
        transform: brings raw images to what the networks see.

    Raises:
        ValueError: if the folder holds no pool, an unfinished or a damaged one, or one of a newer
            format.
        OSError: if it cannot be read.

    Example:
        >>> pool = Pool("pools/lenet")                                          # doctest: +SKIP
        >>> params, state = pool.network.unpack(pool.weights(0))                # doctest: +SKIP
        >>> outputs, _ = pool.network.apply(params, state, x, training=False)   # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        record = read_record(self.path)
        if not record["finished"]:
            raise ValueError(
                f"{self.path} holds {len(record['members'])} of {record['networks']} networks; "
                "give the command that made it again, and it goes on"
            )
        self.info = from_plain(PoolInfo, record["info"])
        self.members = tuple(from_plain(Member, entry) for entry in record["members"])
        names = npz_names(self.path / TRANSFORM)
        arrays = read_npz(self.path / TRANSFORM, names)
        self.transform: Transform = transform_from_arrays(self.info.transform, arrays)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def accuracies(self) -> np.ndarray:
        """The test accuracy of each network, float64 `[n]`."""
        return np.array([member.test_accuracy for member in self.members])

    @property
    def steps(self) -> tuple[int, ...]:
        """After which steps there are snapshots: none, or from 0 to the last one."""
        return self.info.snapshot_steps

    @functools.cached_property
    def network(self) -> "Network":
        """The network that takes the weights."""
        return self.info.build()

    def weights(self, index: int, step: int | None = None) -> np.ndarray:
        """Return the weights of a network as one vector, float32 `[size]`, for `Network.unpack`.

        Args:
            index: which network, from 0.
            step: after how many steps of training, one of `steps`; None for the end.

        Raises:
            IndexError: if there is no such network.
            ValueError: if there is no such snapshot, or the file is damaged.
            OSError: if it cannot be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"the pool has networks 0 to {len(self) - 1}, not {index}")
        if step is None:
            return read_weights(self.path / weights_file(index), self.network.layout)
        if step not in self.steps:
            have = f"{self.steps}" if self.steps else "none (`--trajectories` makes them)"
            raise ValueError(f"{self.path} has no snapshot after {step} steps; it has {have}")
        return read_weights(self.path / snapshot_file(index, step), self.network.layout)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the networks are, and of all their final weights."""
        digest = hashlib.sha256(json.dumps(to_plain(self.info), sort_keys=True).encode())
        for index in range(len(self)):
            digest.update(self.weights(index).tobytes())
        return digest.hexdigest()


def weights_file(index: int) -> str:
    """Return the name of the file of a network's weights."""
    return f"network-{index:04d}.npz"


def snapshot_file(index: int, step: int) -> str:
    """Return the name of the file of a network's weights after so many steps."""
    return f"network-{index:04d}/step-{step:06d}.npz"


def read_record(path: Path) -> dict[str, Any]:
    """Return what `pool.json` says.

    Raises:
        ValueError: if it is no pool's, is damaged, or of a newer format.
        OSError: if it cannot be read.
    """
    file = path / RECORD
    if not path.exists():
        raise ValueError(
            f"there is no pool {path}; `stillhouse pretrain --dataset=... --network=... "
            f"--networks=N --out={path}` makes one"
        )
    if path.is_dir() and not file.exists():
        raise ValueError(f"{path} holds no pool: there is no {RECORD} in it")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        version = record["format_version"]
        if version > FORMAT_VERSION:
            raise ValueError("written by a newer Stillhouse; use that one")
        _ = record["info"], record["members"], record["networks"], record["finished"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file} cannot be read as a pool's ({error})") from error
    assert isinstance(record, dict)
    return record


def read_weights(file: Path, layout: tuple[tuple[str, tuple[int, ...]], ...]) -> np.ndarray:
    """Return the named weights of a file as one vector, float32 `[size]`.

    Raises:
        ValueError: if it is damaged, or its weights are of another network.
        OSError: if it cannot be read.
    """
    arrays = read_npz(file, [name for name, _ in layout])
    for name, shape in layout:
        found = arrays[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ValueError(
                f"{file}: {name} must be float32 {list(shape)}, got {found.dtype} "
                f"{list(found.shape)}"
            )
    return np.concatenate([arrays[name].ravel() for name, _ in layout])


def named_weights(
    vector: np.ndarray, layout: tuple[tuple[str, tuple[int, ...]], ...]
) -> Mapping[str, np.ndarray]:
    """Return the weights of one vector by name, as views."""
    named, start = {}, 0
    for name, shape in layout:
        end = start + int(np.prod(shape, dtype=np.int64))
        named[name] = vector[start:end].reshape(shape)
        start = end
    return named
