"""The card of a distilled set: what it is, how it was made, how to evaluate it."""

import dataclasses
import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from typing import Any

from stillhouse.data.printing import printable, printable_json
from stillhouse.data.recipes import KrrRecipe, Recipe, recipe_from_plain, recipe_to_plain
from stillhouse.kernels.spec import KernelSpec

# 2: with a recipe.
FORMAT_VERSION = 2
LABEL_CONVENTION = "one-hot minus 1/k"


def software_versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries results depend on."""
    versions = {"python": platform.python_version()}
    for name in ("stillhouse", "jax", "jaxlib", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a checkout, or without that library
    return versions


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What a card remembers of the dataset.

    Attributes:
        name: the dataset's name.
        fingerprint: SHA-256 of its arrays, from `Dataset.fingerprint`.
        class_names: the names of the classes, in the order of the label columns.
        image_shape: height, width and channels.
        pixel_range: the smallest and the largest raw pixel value of the train images.
    """

    name: str
    fingerprint: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    pixel_range: tuple[float, float]

    def __post_init__(self) -> None:
        for field in ("name", "fingerprint"):
            if not isinstance(getattr(self, field), str):
                raise ValueError(f"`{field}` must be a text, got {getattr(self, field)!r}")
        object.__setattr__(self, "name", printable(self.name))
        names = tuple(printable(str(name)) for name in self.class_names)
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        object.__setattr__(self, "pixel_range", tuple(self.pixel_range))
        if len(self.image_shape) != 3 or any(type(n) is not int for n in self.image_shape):
            raise ValueError(f"`image_shape` must be (h, w, c), got {self.image_shape}")
        numbers = all(isinstance(value, int | float) for value in self.pixel_range)
        if len(self.pixel_range) != 2 or not numbers:
            raise ValueError(f"`pixel_range` must be (low, high), got {self.pixel_range}")


@dataclasses.dataclass(frozen=True)
class Card:
    """The provenance of a distilled set, as JSON in the file.

    Attributes:
        method: the method that made it, such as `kip` or `label_solve`.
        kernel: the kernel that it was learned with, as the JSON object of `KernelSpec.to_json`;
            empty where there was none.
        config: every setting of the run, as a JSON object.
        seed: the seed of the run; None where unknown.
        dataset: what it was distilled from.
        scores: measured results by name, such as `test_accuracy`.
        label_convention: how labels stand for classes.
        software: versions by name.
        format_version: the version of this format.
        recipe: how it is meant to be used; None where KRR with `kernel` is meant.
        computed_by: on what kinds of device, such as `xla on NVIDIA H100 80GB HBM3`. Where there
            are more than one the set can not be made again to the bit.
        audit: the share of the tasks whose results two workers had to agree on, how many were
            compared and how many could not be, and which workers were set aside; empty where none
            were.

    Raises:
        ValueError: if a value cannot be written as JSON, or a score is not a finite number.
    """

    method: str
    kernel: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int | None
    dataset: DatasetInfo
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    label_convention: str = LABEL_CONVENTION
    software: Mapping[str, str] = dataclasses.field(default_factory=software_versions)
    format_version: int = FORMAT_VERSION
    recipe: Recipe | None = None
    computed_by: tuple[str, ...] = ()
    audit: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "computed_by", tuple(self.computed_by))
        if not all(isinstance(kind, str) for kind in self.computed_by):
            raise ValueError(f"`computed_by` of a card must be texts, got {self.computed_by!r}")
        for field in ("method", "label_convention"):
            if not isinstance(getattr(self, field), str):
                raise ValueError(f"`{field}` of a card must be a text")
        if self.seed is not None and type(self.seed) is not int:
            raise ValueError(f"`seed` of a card must be an integer, got {self.seed!r}")
        if not isinstance(self.dataset, DatasetInfo):
            raise ValueError(f"`dataset` of a card must be a DatasetInfo, got {self.dataset!r}")
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            raise ValueError(f"`recipe` of a card must be a Recipe, got {self.recipe!r}")
        for field in ("kernel", "config", "scores", "software", "audit"):
            value = getattr(self, field)
            if not isinstance(value, Mapping):
                raise ValueError(f"`{field}` of a card must be a JSON object, got {value!r}")
        for name, score in self.scores.items():
            if not isinstance(score, int | float) or not math.isfinite(score):
                raise ValueError(f"score {name!r} of a card must be a finite number, got {score!r}")
        try:
            self.to_json()
        except TypeError as error:
            raise ValueError(f"a card must be writable as JSON: {error}") from error

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        entries = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        entries["dataset"] = dataclasses.asdict(self.dataset)
        if not self.audit:
            del entries["audit"]  # An earlier release reads it then.
        entries["recipe"] = None if self.recipe is None else recipe_to_plain(self.recipe)
        return json.dumps(entries, allow_nan=False)

    def usage(self) -> Recipe:
        """Return how the set is meant to be used: by its recipe, or else KRR with its kernel.

        Raises:
            ValueError: if it says neither.
        """
        if self.recipe is not None:
            return self.recipe
        if not self.kernel:
            raise ValueError("its card says neither how it is meant to be used nor by what kernel")
        ridge = self.config.get("regularisation")
        spec = KernelSpec.from_json(json.dumps(self.kernel))
        return KrrRecipe(spec) if ridge is None else KrrRecipe(spec, float(ridge))

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read what `to_json` wrote.

        Raises:
            ValueError: if the text is not a card, or was written in a newer format.
        """
        try:
            # A stranger's texts reach terminals: they are made printable here, once for all.
            values = printable_json(json.loads(text))
            version = values["format_version"]
            if not isinstance(version, int) or version < 1:
                raise ValueError(f"format version {version!r}")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"not a card of a distilled set ({error})") from error
        if version > FORMAT_VERSION:
            raise ValueError(
                f"written in format {version}, this Stillhouse reads up to format "
                f"{FORMAT_VERSION}; use a newer Stillhouse"
            )
        try:
            recipe = values.pop("recipe", None)
            values["recipe"] = None if recipe is None else recipe_from_plain(recipe)
            return cls(**{**values, "dataset": DatasetInfo(**values["dataset"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not a card of a distilled set ({error})") from error
