"""The card of a published set for its readers: README.md, as the Hugging Face hub has it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from stillhouse.data.arrays import size_name
from stillhouse.data.card import Card
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import StepsRecipe, TrainingRecipe
from stillhouse.data.releases.names import file_name, network_name

_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_METHODS = {
    "kip": "Kernel Inducing Points",
    "label_solve": "Label Solve",
    "dd": "distillation through gradient steps",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
# What `stillhouse evaluate` gives; the other scores of a card are from inside a run.
_SCORES = {
    "test_accuracy": "test accuracy",
    "test_mse": "test mean squared error (half)",
    "published_test_accuracy": "test accuracy, as its authors published it",
    "published_test_mse": "test mean squared error (half), as its authors published it",
}


def readme(
    distilled: DistilledSet,
    name: str,
    *,
    license: str,
    files: Sequence[str],
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Return the text of the card, with the front matter that the hub reads.

    Args:
        distilled: the set, with card and transform.
        name: of the set.
        license: as the hub calls it.
        files: the first one is the set's own; the others are told of too.
        extra: more of the front matter, in place of what describes the arrays of the set's file.

    Raises:
        ValueError: if the license is not such a name.
    """
    card = distilled.card
    assert card is not None and distilled.transform is not None
    if not _LICENSE.fullmatch(license):
        raise ValueError(
            f"a license is a name as the Hugging Face hub has it, such as apache-2.0, cc-by-4.0 or "
            f"unknown, got {license!r}"
        )
    front = {
        "license": license,
        "pretty_name": f"{card.dataset.name}, distilled to {len(distilled.images)} images",
        "task_categories": ["image-classification"],
        "size_categories": [_size_category(len(distilled.images))],
        "tags": ["dataset-distillation", card.method.replace("_", "-"), "stillhouse"],
        **(_arrays(distilled) if extra is None else extra),
    }
    matter = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{matter}---\n\n{_body(distilled, card, name, files)}"


def dataset_argument(card: Card) -> str:
    """Return what to write behind `--dataset=`: a name, or a path for the reader to fill in."""
    source = str(card.config.get("dataset", ""))
    return source if source == "digits" else f"path/to/{file_name(card.dataset.name)}"


def _size_category(images: int) -> str:
    return next((name for limit, name in _SIZES if images < limit), "100K<n<1M")


def _arrays(distilled: DistilledSet) -> dict[str, Any]:
    shape = list(distilled.images.shape[1:])
    size = distilled.images.nbytes + distilled.labels.nbytes
    features = [
        {"name": "images", "dtype": {"array3_d": {"shape": shape, "dtype": "float32"}}},
        {"name": "labels", "sequence": "float32"},
    ]
    split = {"name": "train", "num_bytes": size, "num_examples": len(distilled.images)}
    return {"dataset_info": {"features": features, "splits": [split], "dataset_size": size}}


def _body(distilled: DistilledSet, card: Card, name: str, files: Sequence[str]) -> str:
    assert distilled.transform is not None
    seer = "the kernel" if card.kernel else "networks"
    facts = {
        "method": _METHODS.get(card.method, card.method),
        "network": _network(card),
        "images": f"{len(distilled.images)} of {size_name(distilled.images.shape[1:])}",
        "classes": str(distilled.num_classes),
        "labels": f"{'soft, ' if _is_soft(distilled) else ''}{card.label_convention}",
        "transform": f"`{distilled.transform.kind}`, stored in the file",
        "steps": card.config.get("steps"),
        "seed": card.seed,
        "distilled from": f"{card.dataset.name}, SHA-256 `{card.dataset.fingerprint[:16]}`",
        "software": ", ".join(f"{k} {v}" for k, v in card.software.items()),
        "computed by": ", and by ".join(card.computed_by) or None,
    }
    lines = [
        f"# {name}",
        "",
        f"{len(distilled.images)} synthetic images that stand for the training images of "
        f"{card.dataset.name}.",
        "",
        *_table(("", ""), {k: str(v) for k, v in facts.items() if v is not None}),
        "",
        *_scores(card, files[0]),
        "## Files",
        "",
        *_files(files),
        "",
        "## Use",
        "",
        "```python",
        "import stillhouse as sh",
        "",
        f'ds = sh.load("{files[0]}")',
        f"ds.images, ds.labels             # what {seer} saw",
        "ds.original_images()             # in the dataset's own pixel scale",
        "ds.transform.apply(real_images)  # real images into the space of ds.images",
        "```",
        "",
    ]
    return "\n".join(lines)


def _network(card: Card) -> str:
    kind = f", {card.kernel['kind'].upper()}" if card.kernel else ""
    return f"{network_name(card)}{kind}"


def _used(card: Card) -> str:
    """Return what the scores are of."""
    recipe = card.usage()
    if not isinstance(recipe, StepsRecipe | TrainingRecipe):
        return "kernel ridge regression on these images, with the network above"
    if isinstance(recipe, TrainingRecipe):
        return "networks as above, trained on these images as the file says"
    start = {
        "any": "from any random weights",
        "seed": f"from the weights of seed {recipe.seed}",
        "pool": f"from the networks of a pool, whose SHA-256 is `{(recipe.pool or '')[:16]}`",
        "file": f"from the weights whose file has the SHA-256 `{(recipe.weights or '')[:16]}`",
    }[recipe.initialisation]
    steps = f"{len(recipe.rates)} given gradient steps on these images"
    return f"networks as above after {steps} {start}"


def _is_soft(distilled: DistilledSet) -> bool:
    hard = centred_one_hot(distilled.labels.argmax(axis=1), distilled.num_classes)
    return not np.allclose(distilled.labels, hard, atol=1e-6)


def _scores(card: Card, file: str) -> list[str]:
    scores = {
        _SCORES[k]: f"{v:.{4 if 'accuracy' in k else 5}f}"
        for k, v in card.scores.items()
        if k in _SCORES
    }
    dataset = dataset_argument(card)
    copy = f"; `{dataset}` is your copy of {card.dataset.name}" if "/" in dataset else ""
    return [
        "## Scores",
        "",
        f"Of {_used(card)}"
        f"{', computed again by' if scores else ', computed by'} this command{copy}:",
        "",
        "```sh",
        f"stillhouse evaluate {file} --dataset={dataset}",
        "```",
        "",
        *([*_table(("score", "value"), scores), ""] if scores else []),
    ]


def _files(files: Sequence[str]) -> list[str]:
    about = {
        ".npz": "everything: `images` float32 `[s, h, w, c]` in the transformed space, `labels` "
        "float32 `[s, k]`, the transform, and where the set comes from",
        ".parquet": "`image` (a picture in the original colours), `label` (the class of the "
        "largest entry), `pixels` and `soft_label` (the exact arrays `images` and `labels`)",
    }
    return [f"- `{file}`: {about[file[file.rindex('.') :]]}" for file in files]


def _table(header: tuple[str, str], rows: Mapping[str, str]) -> list[str]:
    lines = [f"| {header[0]} | {header[1]} |", "| --- | --- |"]
    for name, value in rows.items():
        lines.append(f"| {name} | {' '.join(value.split()).replace('|', '/')} |")
    return lines
