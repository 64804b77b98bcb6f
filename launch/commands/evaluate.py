"""`stillhouse evaluate`: score a distilled set on test images, as its recipe says."""

import json
import math
import sys

from stillhouse.data.batches import split_chunks
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import KrrRecipe, Recipe, recipe_to_plain
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.bars import Bar
from stillhouse.launch.errors import STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.following import follow
from stillhouse.launch.sets import (
    dataset_for,
    is_own,
    kernel_for,
    load_set,
    recipe_of,
    regularisation_for,
    transform_for,
)
from stillhouse.launch.settings.sets import EvaluateConfig, SetConfig
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.evaluation import Scores, evaluate_krr
from stillhouse.methods.kernel_regression.feature_layers import WIDTH, check_features
from stillhouse.workers.local import LocalComputer, LocalRunner

_CHUNK = 500
_OTHER_DATA = "note: the set was distilled from other data than these"


def run(config: EvaluateConfig) -> int:
    """Print the scores of the set, and return the exit code.

    Raises:
        CommandError: if something is wrong with the set, the dataset or the settings, or the set
            gives no finite predictions.
    """
    with bad_input():
        distilled = load_set(config.file, config.reading.max_bytes)
        dataset = dataset_for(config.set, config.file, distilled, config.reading)
        recipe = recipe_of(distilled)
        if recipe is not None and not isinstance(recipe, KrrRecipe) and not _asks_krr(config.set):
            transform = transform_for(config.set, config.file, distilled, dataset)
            return _follow(config, recipe, distilled, dataset, transform)
        spec = kernel_for(config.set, config.file, distilled)
        spec.architecture.check_image(*dataset.image_shape[:2])
        transform = transform_for(config.set, config.file, distilled, dataset)
        networks = config.estimate.approximate
        computer, backend = _computer(config, spec, distilled)
        regularisation = regularisation_for(config.set, distilled)
    chunks = split_chunks(dataset, transform, "test", _CHUNK)
    total = math.ceil(len(dataset.y_test) / _CHUNK)
    try:
        with Bar(total, "evaluating", unit="part") as bar:
            scores = evaluate_krr(
                computer, spec, distilled.images, distilled.labels, bar.over(chunks), regularisation
            )
    except (FloatingPointError, ValueError) as error:  # Values that a kernel has no use for.
        raise CommandError(one_line(error), STOPPED) from error
    own = is_own(distilled, dataset)
    # A score on other data is no comparison.
    stated = {} if own is False else _stated(distilled, config.set)
    if config.output.json:
        result = {
            "test_accuracy": scores.accuracy,
            "test_mse": scores.mse,  # Half of it, as the papers state it.
            "test_mse_plain": 2 * scores.mse,
            **_differences(scores, stated),
            "images": len(distilled.images),
            "test_images": len(dataset.y_test),
            "dataset": dataset.name,
            "same_dataset": own,
            "transform": transform.kind,
            "kernel": json.loads(spec.to_json()),
            "regularisation": regularisation,
            "backend": backend,
            **({} if networks is None else {"approximate": networks}),
        }
        print(json.dumps(result))
        return 0
    if own is False:
        print(_OTHER_DATA, file=sys.stderr)
    print(
        f"test accuracy {scores.accuracy:.4f}, half mse {scores.mse:.5f} (as the papers state it; "
        f"mse {2 * scores.mse:.5f})"
    )
    if "test_accuracy" in stated:
        print(_comparison(scores.accuracy, stated["test_accuracy"]))
    print(
        f"{len(distilled.images)} images, {len(dataset.y_test):,} test images of {dataset.name}, "
        f"transform {transform.kind}, {spec.kind} by {backend}"
    )
    return 0


def _computer(
    config: EvaluateConfig, spec: KernelSpec, distilled: DistilledSet
) -> tuple[KernelComputer, str]:
    """Return what computes the kernel, and what to call that.

    Raises:
        ValueError: if it cannot be computed, or features cannot stand in for it.
    """
    exact = LocalComputer(config.compute.backend, config.compute.threads)
    networks = config.estimate.approximate
    if networks is None:
        return exact, exact.kernel(spec).backend
    # Only here: JAX takes its time to import.
    from stillhouse.methods.kernel_regression.features import FeatureComputer

    images = distilled.images
    check_features(spec, networks, len(images), images.shape[1:], "approximate")
    computer = FeatureComputer(LocalRunner(exact.context), width=WIDTH, networks=networks)
    return computer, f"random features of {networks:,} networks"


def _asks_krr(asked: SetConfig) -> bool:
    return any(value is not None for value in (asked.architecture, asked.kernel))


def _follow(
    config: EvaluateConfig,
    recipe: Recipe,
    distilled: DistilledSet,
    dataset: Dataset,
    transform: Transform,
) -> int:
    """Print the accuracies of the networks that the recipe trains, and return the exit code."""
    # Only here: the library of networks takes its time to import.
    from stillhouse.methods.following import shortened

    asked, own, test = config.recipe, recipe, (dataset.x_test, dataset.y_test)
    with bad_input():
        recipe = shortened(own, steps=asked.steps, width=asked.width)
        with Bar(None, "training", unit="network") as bar:
            try:
                found = follow(recipe, distilled, test, transform, asked, told=bar.update)
            except FloatingPointError as error:
                raise CommandError(one_line(error), STOPPED) from error
    stated = _stated(distilled, config.set) if recipe == own else {}
    same = is_own(distilled, dataset)
    if config.output.json:
        result = {
            **found.to_dict(),
            "stated_test_accuracy": stated.get("test_accuracy"),
            "images": len(distilled.images),
            "test_images": len(dataset.y_test),
            "dataset": dataset.name,
            "same_dataset": same,
            "transform": transform.kind,
            "recipe": recipe_to_plain(recipe),
            "own_recipe": recipe == own,
        }
        print(json.dumps(result))
        return 0
    if same is False:
        print(_OTHER_DATA, file=sys.stderr)
    if recipe != own:
        print("note: not the set's own recipe, which says otherwise", file=sys.stderr)
    print("\n".join(found.lines()))
    if "test_accuracy" in stated and same is not False:
        print(_comparison(found.accuracy, stated["test_accuracy"]))
    print(
        f"{len(distilled.images)} images, {len(dataset.y_test):,} test images of {dataset.name}, "
        f"transform {transform.kind}, recipe {recipe.kind}"
    )
    return 0


def _stated(distilled: DistilledSet, asked: SetConfig) -> dict[str, float]:
    """Return the scores of the set's card, as published or else as its run measured them.

    There are none where it is scored in another way now.
    """
    otherwise = (asked.architecture, asked.kernel, asked.transform, asked.regularisation)
    if distilled.card is None or any(value is not None for value in otherwise):
        return {}
    stated = {}
    for name in ("test_accuracy", "test_mse"):
        for key in (f"published_{name}", name):
            if key in distilled.card.scores:
                stated[name] = float(distilled.card.scores[key])
                break
    return stated


def _differences(scores: Scores, stated: dict[str, float]) -> dict[str, float | None]:
    accuracy, mse = stated.get("test_accuracy"), stated.get("test_mse")
    return {
        "stated_test_accuracy": accuracy,
        "accuracy_difference": None if accuracy is None else scores.accuracy - accuracy,
        "stated_test_mse": mse,
        "mse_difference": None if mse is None else scores.mse - mse,
    }


def _comparison(measured: float, stated: float) -> str:
    points = 100.0 * (measured - stated)
    if abs(points) < 0.005:
        return f"the set's card says {stated:.4f}: the same"
    return (
        f"the set's card says {stated:.4f}: {abs(points):.2f} points "
        f"{'more' if points < 0 else 'less'} than measured here"
    )
