"""Siamese augmentation as settings of methods: of what is compared, and of a set's recipe."""

from typing import Any

from stillhouse.data.siamese import ALL, KINDS, expected_kinds
from stillhouse.methods.options import option


def augment_option(default: tuple[str, ...]) -> Any:
    """Declare what may happen to real and synthetic images alike."""
    return option(
        default,
        "change real and synthetic images alike, each time in one of these ways: "
        f"{', '.join(KINDS)}; {ALL} for all, or none. Not flip for digits and letters",
        check=expected_kinds,
    )


def recipe_augment_option(default: tuple[str, ...], note: str = "") -> Any:
    """Declare what may happen to a set's images in the training that it is meant for.

    Args:
        default: what does where the flag is not given.
        note: the end of its help, which says what an empty default means.
    """
    return option(
        default,
        f"change its images at each step in one of these ways: {', '.join(KINDS)}; {ALL} for all, "
        f"or none{note}",
        check=expected_kinds,
    )
