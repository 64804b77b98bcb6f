"""The provenance of a set, as lines for a reader."""

import json
from collections.abc import Mapping
from typing import Any

from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import Recipe, StepsRecipe
from stillhouse.kernels.architecture import AvgPool, Conv, Dense, Layer
from stillhouse.kernels.spec import KernelSpec

Lines = list[tuple[str, str]]


def provenance(distilled: DistilledSet) -> dict[str, Lines]:
    """Return what is known of where a set comes from: by heading, names and values.

    Args:
        distilled: the set; one without a card says only what its arrays are.
    """
    s, h, w, c = distilled.images.shape
    transform = "not known" if distilled.transform is None else distilled.transform.kind
    arrays: Lines = [
        ("images", f"{s} of {h} x {w} x {c}, float32"),
        ("labels", f"{s} x {distilled.num_classes}, float32"),
        ("transform", transform),
    ]
    card = distilled.card
    if card is None:
        return {"Arrays": arrays}
    low, high = card.dataset.pixel_range
    return {
        "Method": [
            ("method", card.method),
            *([("kernel", _kernel(card.kernel))] if card.kernel else []),
            *([("recipe", recipe_words(card.recipe))] if card.recipe is not None else []),
            ("seed", "not known" if card.seed is None else str(card.seed)),
            ("label convention", card.label_convention),
        ],
        "Dataset": [
            ("name", card.dataset.name),
            ("fingerprint (SHA-256)", card.dataset.fingerprint),
            ("classes", ", ".join(card.dataset.class_names)),
            ("pixels", f"{low:g} to {high:g}"),
        ],
        "Arrays": arrays,
        "Settings": [(name, _value(value)) for name, value in sorted(card.config.items())],
        "Software": [
            *((name, str(version)) for name, version in card.software.items()),
            ("file format", str(card.format_version)),
            *(("computed by", kind) for kind in card.computed_by),
        ],
    }


def in_words(spec: KernelSpec) -> str:
    """Return a kernel as its kind and layers, such as `NTK of Flatten, Dense, ReLU, Dense`."""
    return f"{spec.kind.upper()} of {', '.join(map(_layer, spec.architecture.layers))}"


def recipe_words(recipe: Recipe) -> str:
    """Return how a set is meant to be used, in a line."""
    if not isinstance(recipe, StepsRecipe):
        return {"krr": "kernel ridge regression"}.get(recipe.kind, recipe.kind)
    start = {
        "any": "any random weights",
        "seed": f"the weights of seed {recipe.seed}",
        "pool": f"the networks of a pool (SHA-256 {(recipe.pool or '')[:16]})",
        "file": f"a file of weights (SHA-256 {(recipe.weights or '')[:16]})",
    }[recipe.initialisation]
    return f"{len(recipe.rates)} gradient steps from {start}"


def _kernel(content: Mapping[str, Any]) -> str:
    try:
        return in_words(KernelSpec.from_json(json.dumps(content)))
    except ValueError:  # Of a method that has none, or of layers that are not known here.
        return json.dumps(content)


def _layer(layer: Layer) -> str:
    name = "ReLU" if type(layer).__name__ == "Relu" else type(layer).__name__
    if isinstance(layer, Conv | AvgPool):
        name += f" {layer.window[0]}x{layer.window[1]}"
    if isinstance(layer, Conv | Dense):
        name += f" (W {layer.W_std:.4g}, b {layer.b_std:.4g})"
    return name


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
