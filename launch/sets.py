"""What belongs to a distilled set: as it is asked for, or else as the set itself says."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stillhouse.data.archive import npz_names, read_npz
from stillhouse.data.card import Card
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet, load, space_from_arrays
from stillhouse.data.own_classes import in_own_order
from stillhouse.data.recipes import KrrRecipe, Recipe, recipe_from_plain
from stillhouse.data.transforms import Checked, Transform, fit_transform
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.launch.reading import naming_flags, read_dataset
from stillhouse.launch.settings.reading import ReadingConfig
from stillhouse.launch.settings.sets import SetConfig
from stillhouse.methods.architectures import build_architecture
from stillhouse.server.checkpoints import CheckpointStore
from stillhouse.server.run_folder import RunFolder

_REGULARISATION = 1e-6


def load_set(file: str, max_bytes: int | None = None) -> DistilledSet:
    """Read a set from its file, or from the folder of a run; of an unfinished one, as it is now.

    Raises:
        ValueError: if it is damaged, or the folder holds neither a set nor a checkpoint.
        OSError: if it cannot be read.
    """
    folder = RunFolder(Path(file).expanduser())
    unfinished = folder.config.exists() and not folder.result.exists()
    if unfinished and folder.begun.exists():
        saved = CheckpointStore(folder.checkpoints).latest()
        if saved is not None and saved.support is not None:
            names = npz_names(folder.begun)
            transform, card = space_from_arrays(read_npz(folder.begun, names))
            if card is not None:
                config = {**card.config, "checkpoint_step": saved.step}
                learned = saved.meta.get("recipe")
                recipe = card.recipe if learned is None else recipe_from_plain(learned)
                card = dataclasses.replace(card, config=config, recipe=recipe)
            print(
                f"note: {file} is not finished; this is its checkpoint of step {saved.step}",
                file=sys.stderr,
            )
            return DistilledSet(*saved.support, transform, card)
    with naming_flags():
        return load(file, max_bytes=max_bytes)


def dataset_for(
    asked: SetConfig, file: str, distilled: DistilledSet, reading: ReadingConfig
) -> Dataset:
    """Return the dataset that is asked for, or the one that the set was distilled from.

    Args:
        asked: the settings.
        file: what messages call the set.
        distilled: the set.
        reading: how the dataset is read; what it does not say is as in the set's run.

    Raises:
        ValueError: if the set does not say what it was distilled from, or the dataset has images
            of another size or another number of classes.
        OSError: if it cannot be read.
    """
    source = asked.dataset
    known = {} if distilled.card is None else distilled.card.config
    before: Mapping[str, Any] | None = None
    if "dataset" in known:
        typed = str(known["dataset"])
        own = _where(file, typed)
        # Its own data are read as its run read them.
        before = known if source in (None, typed) or os.path.abspath(source or "") == own else None
        source = own if source is None else source
    if source is None:
        raise ValueError(f"{file} does not say what it was distilled from; give --dataset")
    try:
        dataset = read_dataset(source, reading, before)
    except (ValueError, OSError) as error:
        if asked.dataset is not None or distilled.card is None or os.path.exists(source):
            raise
        info = distilled.card.dataset
        raise ValueError(
            f"{file} was distilled from {info.name} (SHA-256 {info.fingerprint[:16]}), which is "
            f"not found here under {source}; give --dataset"
        ) from error
    if dataset.image_shape != distilled.images.shape[1:]:
        raise ValueError(
            f"`--dataset`: the images of {source} are {_size(dataset.image_shape)}, those of "
            f"{file} {_size(distilled.images.shape[1:])}"
        )
    if dataset.num_classes != distilled.num_classes:
        raise ValueError(
            f"`--dataset`: {source} has {dataset.num_classes} classes, the labels of "
            f"{file} have {distilled.num_classes}"
        )
    return in_own_order(distilled, dataset)


def kernel_for(asked: SetConfig, file: str, distilled: DistilledSet) -> KernelSpec:
    """Return the kernel that is asked for, or the set's own.

    Raises:
        ValueError: if neither is known, or the one asked for does not exist.
    """
    if asked.architecture is not None:
        stds = {"W_std": asked.W_std, "b_std": asked.b_std}
        architecture = build_architecture(
            asked.architecture,
            asked.depth,
            global_pool=asked.global_pool,
            **{name: value for name, value in stds.items() if value is not None},
        )
        return KernelSpec(architecture, _kind(asked.kernel or "ntk"))
    if distilled.card is None:
        raise ValueError(
            f"{file} does not say what network it was distilled with; give --architecture, "
            "such as --architecture=convnet --depth=3"
        )
    own = _krr(file, distilled.card).kernel
    return KernelSpec(own.architecture, _kind(asked.kernel or own.kind))


def transform_for(
    asked: SetConfig, file: str, distilled: DistilledSet, dataset: Dataset
) -> Transform:
    """Return the transform that is asked for, fitted on the training images, or the set's own.

    Raises:
        ValueError: if neither is known, or the images cannot be used for it.
    """
    if asked.transform is not None:
        return fit_transform(asked.transform, dataset.x_train)
    if distilled.transform is None:
        raise ValueError(
            f"{file} carries no transform; give --transform=none, standardise, zca, zca-rfad or "
            "zca-frepo, to be fitted on the dataset's training images"
        )
    if isinstance(distilled.transform, Checked):
        for images in (dataset.x_train, dataset.x_test):
            distilled.transform.check(images)  # Before anything is computed of them.
    return distilled.transform


def regularisation_for(asked: SetConfig, distilled: DistilledSet) -> float:
    """Return the ridge that is asked for, the set's own, or the papers'."""
    if asked.regularisation is not None:
        return asked.regularisation
    recipe = recipe_of(distilled)
    return recipe.regularisation if isinstance(recipe, KrrRecipe) else _REGULARISATION


def recipe_of(distilled: DistilledSet) -> Recipe | None:
    """Return how the set says that it is meant to be used; None where it does not say."""
    if distilled.card is None or (distilled.card.recipe is None and not distilled.card.kernel):
        return None
    return distilled.card.usage()


def _krr(file: str, card: Card) -> KrrRecipe:
    recipe = card.usage()
    if not isinstance(recipe, KrrRecipe):
        raise ValueError(
            f"{file} is meant for a finite network ({recipe.kind}), and has no kernel of its own; "
            "name one by --architecture, such as --architecture=convnet --depth=3"
        )
    return recipe


def is_own(distilled: DistilledSet, dataset: Dataset) -> bool | None:
    """Return whether the set was distilled from this very dataset; None if it does not say."""
    if distilled.card is None:
        return None
    return distilled.card.dataset.fingerprint == dataset.fingerprint()


def _where(file: str, typed: str) -> str:
    """Return where a set's dataset lies: by its run, from wherever that is asked, or as typed."""
    with contextlib.suppress(OSError, ValueError):
        path = Path(file).expanduser()
        settings = RunFolder(path if path.is_dir() else path.parent).read_settings()
        found = settings.get("dataset_path")
        if settings.get("dataset") == typed and isinstance(found, str) and os.path.exists(found):
            return found
    return typed


def _kind(name: str) -> Kind:
    return "ntk" if name == "ntk" else "nngp"


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
