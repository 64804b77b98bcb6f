"""What a task may compute: a program, which is data and answers for itself."""

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import numpy as np

from stillhouse.methods.programs.context import Context

Arrays = tuple[np.ndarray, ...]

KERNEL_ELEMENTS = "kernel elements"
PASSES = "passes"
"""One image once forward and back through a network."""


class Typed(Protocol):
    """What has a shape and a dtype: an array, or an `ArrayType` in its place."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """What its values are."""
        ...


@dataclasses.dataclass(frozen=True)
class ArrayType:
    """The shape and dtype of an array that need not be there.

    Attributes:
        shape: the length of each axis.
        dtype: what its values are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype = dataclasses.field(default=np.dtype(np.float32))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))

    @property
    def nbytes(self) -> int:
        """The bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


Types = Sequence[Typed]


class Program(abc.ABC):
    """What a task computes, by name and settings: a frozen dataclass.

    No code travels: a program turns to JSON and back by the name under which `register` knows it.
    Its results are a function of its settings and arrays alone, to the bit, on one kind of device;
    what is random comes from seeds among them.

    All methods but `compute` and `halves` look at shapes and dtypes only, so that they answer
    before there are any arrays.

    Attributes:
        name: under which it is registered; set by `register`.
        unit: what its work is counted in.
    """

    name: ClassVar[str]
    unit: ClassVar[str]

    @abc.abstractmethod
    def check(self, shared: Types, own: Types) -> None:
        """Check that it can take these arrays.

        Args:
            shared: arrays that other tasks have too: images, weights.
            own: small ones of this task alone: a cotangent, a seed.

        Raises:
            ValueError: if it cannot; the message says what belongs there.
        """

    @abc.abstractmethod
    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return what its results will be."""

    @abc.abstractmethod
    def work(self, shared: Types, own: Types) -> int:
        """Return how many work units it costs."""

    @abc.abstractmethod
    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return its results.

        Raises:
            ValueError: if the values of the arrays are what it cannot compute with.
            FloatingPointError: if a result leaves the range of its dtype.
            UnsupportedError: if this machine cannot compute it, whatever the arrays.
        """

    def side_by_side(self, context: Context) -> bool:
        """Return whether threads had better compute a task each than one task together."""
        return False

    def halves(self, shared: Arrays, own: Arrays) -> "Halves | None":
        """Return smaller tasks that come to the same where memory does not suffice for the whole.

        None, as here, where it cannot be halved: then the task fails, and another worker may have
        more memory.
        """
        return None

    def describe(self, shared: Types, own: Types) -> str:
        """Return what it is about, for a message."""
        return self.name.replace("_", " ")


Part = tuple[Program, Arrays, Arrays]


@dataclasses.dataclass(frozen=True)
class Halves:
    """A task in parts.

    Attributes:
        parts: each a program, its shared arrays and its own.
        join: makes the results of the whole from those of the parts.
    """

    parts: tuple[Part, ...]
    join: Callable[[Sequence[Arrays]], Arrays]
