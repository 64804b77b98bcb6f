"""Distilling arrays from Python, without a command line."""

import dataclasses
import inspect
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.arguments import check_arguments, shown
from stillhouse.data.arrays import ArrayLike
from stillhouse.data.dataset import FLAT, Dataset
from stillhouse.data.distilled import DistilledSet, load_distilled
from stillhouse.data.sources import dataset_from
from stillhouse.data.sources.objects import is_dataset
from stillhouse.launch.errors import Note
from stillhouse.launch.prepare import prepare
from stillhouse.launch.running import learn
from stillhouse.launch.settings.given import check_given
from stillhouse.launch.settings.run import (
    ComputeConfig,
    DataConfig,
    DistillConfig,
    MethodConfig,
    RunConfig,
    SupportConfig,
)
from stillhouse.methods.method import Method
from stillhouse.methods.registry import METHODS, foreign_setting, method_for, owners_of
from stillhouse.server.schedule import Progress


@check_arguments
def distill(
    images: Any,
    labels: ArrayLike | None = None,
    test_images: Any = None,
    test_labels: ArrayLike | None = None,
    *,
    ipc: int = 1,
    method: str = "kip",
    init: str | os.PathLike[str] = "real",
    transform: str = "standardise",
    seed: int = 0,
    backend: str = "auto",
    threads: int | None = None,
    test_fraction: float | None = None,
    image_size: tuple[int, int] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    **settings: Any,
) -> DistilledSet:
    """Distil arrays, or a dataset, into a few synthetic images and labels.

    What the settings mean is said by `stillhouse distill --help`; they are the same, and with the
    same data, settings and backend the command gives the same bits.

    Args:
        images: training images `[n, h, w, c]`, or grey `[n, h, w]`, of integers or floats in any
            scale; or, without `labels`, all that `dataset_from` takes: a `Dataset`, a Hugging Face
            or a PyTorch dataset, or a pair of arrays.
        labels: their classes `[n]`, whole numbers or texts.
        test_images: test images, or a dataset of them; without them a part of the training images
            is held out.
        test_labels: their classes.
        ipc: distilled images per class.
        method: what is learned, and how, such as "kip" or "label_solve".
        init: start from "real" images, "noise" or "kmeans" centres, or from a distilled set: the
            path of its file or run folder.
        transform: how pixels are normalised before all else, as `fit_transform` names it.
        seed: of everything random.
        backend: what computes kernels, where the method has any.
        threads: processor threads; None for all.
        test_fraction: the share of each class held out where there are no test images, by default
            0.2.
        image_size: height and width to which the images of such a dataset are resized.
        image_column: of a Hugging Face dataset; None for `image` or `img`.
        label_column: of a Hugging Face dataset; None for `label`, `labels` or `fine_label`.
        name: what the card calls the dataset; None for its own name, or `arrays`.
        class_names: the names of the classes; by default their labels.
        out: the run folder, with checkpoints, log and curves: called again with the same arguments
            an interrupted run goes on, and a finished one is read. None leaves nothing behind.
        on_progress: told of the progress before the first step and after each one.
        **settings: those of the method, by the names of its flags: for KIP `architecture`, `depth`,
            `steps`, `learning_rate` and so on, see `stillhouse distill --method=kip --help`.

    Returns:
        The distilled set, with its transform, and a card with its scores on the test images.

    Raises:
        ValueError: if the data or a setting are wrong, or the method has no such setting, or memory
            would not suffice.
        FloatingPointError: if the run met NaN or infinity; a lower learning rate may help.
        OSError: if the run folder cannot be written.

    Example:
        >>> import stillhouse as sh
        >>> digits = sh.load_dataset("digits")
        >>> ds = sh.distill(digits.x_train, digits.y_train, digits.x_test, digits.y_test,
        ...                 architecture="fc", steps=20)
        >>> ds.images.shape, ds.labels.shape
        ((10, 8, 8, 1), (10, 10))
    """
    given = _given(locals())
    dataset = _dataset(
        *(images, labels, test_images, test_labels),
        name=name,
        class_names=class_names,
        test_fraction=test_fraction,
        image_size=image_size,
        image_column=image_column,
        label_column=label_column,
    )
    for note in dataset.notes:
        if note != FLAT and isinstance(images, Dataset):
            continue  # It was said where the dataset was made.
        warnings.warn(f"{dataset.name}: {note}", Note, stacklevel=3)  # Where `distill` is called.
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as temporary:
        folder = Path(temporary) / "run" if out is None else Path(out)
        try:
            _check_known(method, settings)
            config = DistillConfig(
                data=DataConfig(dataset.name, transform),
                support=SupportConfig(ipc, init=os.fspath(init)),
                method=MethodConfig(method, seed),
                own=method_for(method, **settings),
                compute=ComputeConfig(backend, threads),
                run=RunConfig(str(folder)),
            )
            check_given(config, given | _changed(config.own, settings))
            job = prepare(config, dataset)
            if job.folder.read_result(job.schedule.steps) is None:
                fitted = job.fit_transform()
                # What is not finite stops the run anyway.
                with np.errstate(over="ignore", invalid="ignore"):
                    with job.folder.opened(job.identity, job.settings, growing=job.growing):
                        learn(job, fitted, lambda: False, on_progress, lambda batches: batches)
        except ValueError as error:
            # There are no flags here, but arguments of the same names.
            message = str(error).replace("`--", "`").replace("--method=", "method=")
            raise ValueError(message) from error
        return load_distilled(job.folder.distilled)


def _given(arguments: dict[str, Any]) -> frozenset[str]:
    """Return the settings that are not as they are by default: those a command would be given."""
    parameters = inspect.signature(distill).parameters
    return frozenset(
        name
        for name, value in arguments.items()
        if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        and (value is not parameters[name].default and value != parameters[name].default)
    )


def _check_known(method: str, settings: Mapping[str, Any]) -> None:
    """Check that there are such settings, be they of this method or of another one."""
    own = inspect.signature(distill).parameters
    for setting in settings:
        if method in METHODS and not owners_of(setting):
            raise ValueError(foreign_setting(setting, method, own))


def _changed(method: Method, settings: Mapping[str, Any]) -> frozenset[str]:
    """Return which of a method's settings are not as they are by default."""
    defaults = {field.name: field.default for field in dataclasses.fields(method)}
    return frozenset(name for name in settings if getattr(method, name) != defaults[name])


def _dataset(
    images: Any, labels: Any, test_images: Any, test_labels: Any, **settings: Any
) -> Dataset:
    """Return the data that were given, as arrays or as datasets."""
    pair = isinstance(images, tuple) and len(images) == 2
    if labels is None and not (pair or is_dataset(images)):
        raise ValueError(
            "`labels` are missing: give them, or in place of `images` a dataset, such as "
            f"`load_dataset` and `dataset_from` return; got {shown(images)}"
        )
    test = test_images if test_labels is None else (test_images, test_labels)
    if test_images is not None and test_labels is None and not is_dataset(test_images):
        raise ValueError("give both `test_images` and `test_labels`, or neither")
    if test_images is None and test_labels is not None:
        raise ValueError("give both `test_images` and `test_labels`, or neither")
    names = ("`images`", "`labels`", "`test_images`", "`test_labels`")
    train = images if labels is None else (images, labels)
    return dataset_from(train, test, argument_names=names, **settings)
