"""What networks and sets are called in an index."""

import functools
import hashlib
import json
import re
from collections.abc import Iterator

from stillhouse.data.card import Card
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import StepsRecipe, TrainingRecipe
from stillhouse.kernels.architecture import Architecture, conv, convnet, fc, myrtle
from stillhouse.kernels.spec import KernelSpec

_DEEPEST = 16  # that has a name
_POOLED = "-gap"


def architecture_named(name: str) -> Architecture:
    """Return the network of a published name.

    `ConvNet` is the papers' network: a convolution, then three blocks of convolution, ReLU and
    pool; `ConvNet3` is the same without the first convolution. `FC1`, `ConvVec3` and `Myrtle5` are
    followed by their depth. A `ConvNet` of another depth d ends in `-d`, and `-gap` stands for a
    global average.

    Raises:
        ValueError: if the name is of no network that is known here.
    """
    by_name = {known.casefold(): architecture for known, architecture in _named()}
    if name.casefold() not in by_name:
        raise ValueError(
            f"unknown architecture {name!r}, expected ConvNet, ConvNet3, or FC, ConvVec or Myrtle "
            "with a depth, such as FC1"
        )
    return by_name[name.casefold()]


def kernel_name(kernel: KernelSpec) -> str:
    """Return the name of a kernel's network; a part of its hash where it has none.

    An NNGP kernel adds `-nngp`.
    """
    names = {architecture: name for name, architecture in reversed(_named())}
    name = names.get(kernel.architecture)
    if name is None:
        digest = hashlib.sha256(kernel.architecture.to_json().encode()).hexdigest()
        name = f"Network-{digest[:8]}"
    return name if kernel.kind == "ntk" else f"{name}-{kernel.kind}"


def network_name(card: Card) -> str:
    """Return the name of the network that a set is for: its kernel's, or its recipe's."""
    if card.kernel:
        return kernel_name(KernelSpec.from_json(json.dumps(card.kernel)))
    recipe = card.usage()
    if not isinstance(recipe, StepsRecipe | TrainingRecipe):
        raise ValueError(f"a set with a recipe of kind {recipe.kind} and no kernel has no network")
    parts = (recipe.network.get(name) for name in ("family", "depth", "width"))
    return "-".join(str(part) for part in parts if part is not None)


def set_name(distilled: DistilledSet) -> str:
    """Return the name of a set, in the form of the published files.

    KIP: `ConvNet_ssize100_zca_nol_noaug_ckpt1000`; Label Solve: `ConvNet_ssize100_zca`; another
    method comes last, as `FC1_ssize10_nozca_METHOD`.

    Raises:
        ValueError: if the set has no card.
    """
    card = distilled.card
    if card is None:
        raise ValueError("the set carries no card, so it has no name")
    whitened = distilled.transform is not None and distilled.transform.kind.startswith("zca")
    parts = [
        file_name(network_name(card)),
        f"ssize{len(distilled.images)}",
        "zca" if whitened else "nozca",
    ]
    if card.method == "kip":
        learned, augmented, ckpt = kip_settings(card)
        parts += [] if learned is None else ["l" if learned else "nol"]
        parts += [] if augmented is None else ["aug" if augmented else "noaug"]
        parts += [] if ckpt is None else [f"ckpt{ckpt}"]
    elif card.method != "label_solve":
        parts.append(card.method)
    return file_name("_".join(parts))


def kip_settings(card: Card) -> tuple[bool | None, bool | None, int | None]:
    """Return whether labels were learned, whether with augmentation, and after how many steps.

    None for what the card does not say, or the method does not have.
    """
    if card.method != "kip":
        return None, None, None
    learned, augmented, steps = map(card.config.get, ("learn_labels", "augment", "steps"))
    return (
        learned if isinstance(learned, bool) else None,
        augmented if isinstance(augmented, bool) else None,
        steps if type(steps) is int else None,
    )


def file_name(text: str) -> str:
    """Return a text as the name of a file or folder, whatever it holds."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).lstrip(".") or "_"


@functools.cache
def _named() -> tuple[tuple[str, Architecture], ...]:
    return tuple(_names())


def _names() -> Iterator[tuple[str, Architecture]]:
    for pooled, ending in ((False, ""), (True, _POOLED)):
        yield f"ConvNet{ending}", convnet(3, global_pool=pooled)
        yield f"ConvNet3{ending}", convnet(3, prepend=False, global_pool=pooled)
        for depth in range(1, _DEEPEST + 1):
            yield f"ConvNet-{depth}{ending}", convnet(depth, global_pool=pooled)
            yield f"ConvNet3-{depth}{ending}", convnet(depth, prepend=False, global_pool=pooled)
            yield f"ConvVec{depth}{ending}", conv(depth, global_pool=pooled)
    for depth in range(1, _DEEPEST + 1):
        yield f"FC{depth}", fc(depth)
    for depth in (5, 7, 10):
        yield f"Myrtle{depth}", myrtle(depth)
