"""`stillhouse evaluate`: score a distilled set on test images."""

import json
import math
import sys

from tqdm import tqdm

from stillhouse.data.batches import split_chunks
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.sources import load_dataset
from stillhouse.data.transforms import Transform, fit_transform
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.launch.architectures import build_architecture
from stillhouse.launch.errors import STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.set_config import EvaluateConfig, SetConfig
from stillhouse.launch.sets import read_set
from stillhouse.methods.evaluation import evaluate_krr
from stillhouse.workers.local import LocalComputer

_CHUNK = 500
_REGULARISATION = 1e-6


def run(config: EvaluateConfig) -> int:
    """Print the scores of the set, and return the exit code.

    Raises:
        CommandError: if something is wrong with the set, the dataset or the settings, or the set
            gives no finite predictions.
    """
    with bad_input():
        distilled = read_set(config.file)
        dataset = _dataset(config, distilled)
        spec = _spec(config, distilled)
        spec.architecture.check_image(*dataset.image_shape[:2])
        transform = _transform(config, distilled, dataset)
        computer = LocalComputer(config.compute.backend, config.compute.threads)
        backend = computer.kernel(spec).backend
        regularisation = _regularisation(config.set, distilled)
    chunks = tqdm(
        split_chunks(dataset, transform, "test", _CHUNK),
        total=math.ceil(len(dataset.y_test) / _CHUNK),
        desc="evaluating",
        disable=None,  # where there is no terminal
        leave=False,
    )
    try:
        scores = evaluate_krr(
            computer, spec, distilled.images, distilled.labels, chunks, regularisation
        )
    except (FloatingPointError, ValueError) as error:  # Values that a kernel has no use for.
        raise CommandError(one_line(error), STOPPED) from error
    if config.output.json:
        result = {
            "test_accuracy": scores.accuracy,
            "test_mse": scores.mse,
            "images": len(distilled.images),
            "test_images": len(dataset.y_test),
            "dataset": dataset.name,
            "same_dataset": _is_own(distilled, dataset),
            "transform": transform.kind,
            "kernel": json.loads(spec.to_json()),
            "regularisation": regularisation,
            "backend": backend,
        }
        print(json.dumps(result))
        return 0
    if _is_own(distilled, dataset) is False:
        print("note: the set was distilled from other data than these", file=sys.stderr)
    print(f"test accuracy {scores.accuracy:.4f}, mse {scores.mse:.5f}")
    print(
        f"{len(distilled.images)} images, {len(dataset.y_test):,} test images of {dataset.name}, "
        f"transform {transform.kind}, {spec.kind} by {backend}"
    )
    return 0


def _dataset(config: EvaluateConfig, distilled: DistilledSet) -> Dataset:
    source = config.set.dataset
    if source is None:
        if distilled.card is None or "dataset" not in distilled.card.config:
            raise ValueError(
                f"{config.file} does not say what it was distilled from; give --dataset"
            )
        source = str(distilled.card.config["dataset"])
    dataset = load_dataset(source)
    if dataset.image_shape != distilled.images.shape[1:]:
        raise ValueError(
            f"`--dataset`: the images of {source} are {_size(dataset.image_shape)}, those of "
            f"{config.file} {_size(distilled.images.shape[1:])}"
        )
    if dataset.num_classes != distilled.num_classes:
        raise ValueError(
            f"`--dataset`: {source} has {dataset.num_classes} classes, the labels of "
            f"{config.file} have {distilled.num_classes}"
        )
    return dataset


def _spec(config: EvaluateConfig, distilled: DistilledSet) -> KernelSpec:
    asked = config.set
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
            f"{config.file} does not say what network it was distilled with; give --architecture, "
            "such as --architecture=convnet --depth=3"
        )
    own = KernelSpec.from_json(json.dumps(distilled.card.kernel))
    return KernelSpec(own.architecture, _kind(asked.kernel or own.kind))


def _transform(config: EvaluateConfig, distilled: DistilledSet, dataset: Dataset) -> Transform:
    if config.set.transform is not None:
        return fit_transform(config.set.transform, dataset.x_train)
    if distilled.transform is None:
        raise ValueError(
            f"{config.file} carries no transform; give --transform=none, standardise or zca, to "
            "be fitted on the dataset's training images"
        )
    return distilled.transform


def _regularisation(asked: SetConfig, distilled: DistilledSet) -> float:
    if asked.regularisation is not None:
        return asked.regularisation
    own = distilled.card.config.get("regularisation") if distilled.card else None
    return _REGULARISATION if own is None else float(own)


def _is_own(distilled: DistilledSet, dataset: Dataset) -> bool | None:
    if distilled.card is None:
        return None
    return distilled.card.dataset.fingerprint == dataset.fingerprint()


def _kind(name: str) -> Kind:
    return "ntk" if name == "ntk" else "nngp"


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
