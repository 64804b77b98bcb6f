"""A network trained on a distilled set as its recipe says, and tested."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from stillhouse.data.recipes import Recipe, TrainingRecipe, recipe_from_plain, recipe_to_plain
from stillhouse.data.transforms import Transform, transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register


@register("follow_recipe")
@dataclasses.dataclass(frozen=True)
class FollowRecipe(Program):
    """The test accuracy of a network that is trained on a set by a recipe.

    Shared are the set's images float32 `[s, h, w, c]` and labels float32 `[s, k]`, raw test images
    and their classes int64 `[n]`, and the arrays of the transform. Own is the seed, int64 `[1]`.
    The result is float64 `[1]`. It cannot be halved: each step needs the one before.

    Attributes:
        recipe: a recipe of ordinary training, as a line of JSON.
        transform: the kind of the transform from raw images to the set's space.
        transform_arrays: the names of the transform's arrays, in the order in which they come.

    Raises:
        ValueError: if the recipe is none of ordinary training.
    """

    unit: ClassVar[str] = PASSES

    recipe: str
    transform: str
    transform_arrays: tuple[str, ...]

    def __post_init__(self) -> None:
        _ = self.training

    @classmethod
    def of(cls, recipe: Recipe, transform: Transform) -> tuple["FollowRecipe", Mapping[str, Any]]:
        """Return the program for a recipe and a transform, and the transform's arrays by name."""
        arrays = transform.to_arrays()
        text = json.dumps(recipe_to_plain(recipe), sort_keys=True)
        return cls(text, transform.kind, tuple(arrays)), arrays

    @property
    def training(self) -> TrainingRecipe:
        """The recipe."""
        recipe = recipe_from_plain(json.loads(self.recipe))
        if not isinstance(recipe, TrainingRecipe):
            raise ValueError(f"a network cannot be trained by a recipe of kind {recipe.kind}")
        return recipe

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are a set, test images and a seed."""
        if len(shared) != 4 + len(self.transform_arrays):
            raise ValueError(
                f"following a recipe takes {4 + len(self.transform_arrays)} shared arrays, got "
                f"{len(shared)}"
            )
        images, labels, x_test, y_test = shared[:4]
        for x, y in ((images, labels), (x_test, y_test)):
            if len(x.shape) != 4 or y.shape[:1] != x.shape[:1]:
                raise ValueError(
                    f"images [n, h, w, c] and a label for each belong together, got "
                    f"{list(x.shape)} and {list(y.shape)}"
                )
        if [(tuple(x.shape), x.dtype) for x in own] != [((1,), np.dtype(np.int64))]:
            raise ValueError("following a recipe takes a seed as its own, int64 [1]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the accuracy."""
        return (ArrayType((1,), np.dtype(np.float64)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for each image of each step, a third for a test image."""
        recipe, images = self.training, shared[0].shape[0]
        batch = min(recipe.batch_size or images, images)
        return recipe.steps * batch + math.ceil(shared[2].shape[0] / 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Train the network, and test it."""
        from stillhouse.methods.following import recipe_accuracies

        images, labels, x_test, y_test, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        transform = transform_from_arrays(self.transform, arrays)
        found = recipe_accuracies(
            self.training,
            images,
            labels,
            x_test,
            y_test,
            prepare=transform.apply,
            networks=1,
            seed=int(own[0][0]),
        )
        return (np.array(found),)

    def describe(self, shared: Types, own: Types) -> str:
        """Return on how many images a network is trained."""
        return f"training of a network on {shared[0].shape[0]} distilled images"
