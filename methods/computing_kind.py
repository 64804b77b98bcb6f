"""Kinds of computer: on one kind the result of a task is the same to the bit.

A kind is one printable line, such as `fused on cpu: Intel P (avx2); Numba 0.68.1; ...`: by what
backend, on what device, and the traits that decide the bits of that backend's results.
"""

import dataclasses
from collections.abc import Mapping

_END = "; "
_INSTALL = "install the same version everywhere"


@dataclasses.dataclass(frozen=True)
class _Trait:
    """A trait as a kind names it, by these words and its value; and what makes two alike in it."""

    words: str
    advice: str


# By their names in `bit_traits`, in the order in which a difference is looked for.
_TRAITS = {
    "numba": _Trait("Numba", _INSTALL),
    "numba_target": _Trait(
        "Numba for",
        "set NUMBA_CPU_NAME and NUMBA_CPU_FEATURES alike everywhere, to what all have "
        "(NUMBA_CPU_NAME=generic, which is slow, suits every processor)",
    ),
    "numpy": _Trait("NumPy", _INSTALL),
    "numpy_vectors": _Trait(
        "NumPy's loops up to", "set NPY_DISABLE_CPU_FEATURES alike everywhere, to what one lacks"
    ),
    "blas": _Trait(
        "BLAS", f"{_INSTALL}, and set OPENBLAS_CORETYPE alike, to what all have, such as Haswell"
    ),
    "blas_threads": _Trait(
        "BLAS threads:", "set OPENBLAS_NUM_THREADS alike, or give both as many processors"
    ),
    "jaxlib": _Trait("jaxlib", _INSTALL),
    "gpu_libraries": _Trait("GPU libraries", _INSTALL),
    "xla_flags": _Trait("XLA_FLAGS", "set XLA_FLAGS alike everywhere"),
    "xla_processors": _Trait(
        "XLA's processors:",
        "give each worker the same --threads, such as 1, or set NPROC=1 (before jaxlib 0.4.32 also "
        "XLA_FLAGS=--xla_cpu_multi_thread_eigen=false) everywhere",
    ),
}
# What benchmarks/kinds.py has seen to change bits, see docs/bits.md. Results of tasks do not go
# with the threads of the BLAS; what a server solves in float64 does.
_NUMPY = ("numpy", "numpy_vectors", "blas")
_LOOPS = ("numba", "numba_target", *_NUMPY)
_XLA = ("jaxlib", "xla_flags", "xla_processors")
_DECIDES = {
    "fused": _LOOPS,
    "xla": (*_LOOPS, *_XLA, "gpu_libraries"),
    "cuda": (*_LOOPS, "gpu_libraries"),
    "server": (*_NUMPY, "blas_threads", *_XLA),
}
# Where the loops are our own it does not matter which model of a processor runs them.
_OF_ANY_MODEL = ("fused",)
SERVER = "server"
"""What stands in place of a backend in the kind of a server, which computes what no task is."""


def computing_kind(
    backend: str, device: str, processor: str, traits: Mapping[str, str] | None = None
) -> str:
    """Return what decides the bits of a result, as one line.

    Args:
        backend: the name of the kernels' backend, or `SERVER`.
        device: what `device_kind` says.
        processor: what `processor` says; beside a GPU it computes pairs of images that are nearly
            equal, and for the cuda backend what it needs of each image alone.
        traits: what `bit_traits` says; those that matter are taken.
    """
    beside = "" if device.startswith("cpu: ") else f" beside cpu: {processor}"
    known = traits or {}
    decides = (name for name in _DECIDES.get(backend, _DECIDES["xla"]) if known.get(name))
    parts = (f"{_TRAITS[name].words} {known[name].replace(_END, ', ')}" for name in decides)
    return _END.join((f"{backend} on {device}{beside}", *parts))


def in_brief(kind: str) -> str:
    """Return the backend and the device of a kind."""
    return kind.partition(_END)[0]


@dataclasses.dataclass(frozen=True)
class Difference:
    """In what two kinds differ first.

    Attributes:
        ours, theirs: such as "by xla" and "by fused", "on A" and "on B", or "with Numba 0.68.1".
        advice: what makes two computers alike in it.
    """

    ours: str
    theirs: str
    advice: str


def first_difference(ours: str, theirs: str) -> Difference | None:
    """Return in what two kinds differ first; None if results are the same to the bit.

    What only one of them names does not count: an earlier release named less.
    """
    (backend, device, own), (other, other_device, their) = _parsed(ours), _parsed(theirs)
    if backend != other:
        return Difference(f"by {backend}", f"by {other}", "give both the same backend")
    of_any_model = backend in _OF_ANY_MODEL and own and their
    if device != other_device and not of_any_model:
        one_kind = "give a run one kind of device"
        return Difference(f"on {device}", f"on {other_device}", one_kind)
    for name, trait in _TRAITS.items():
        if name in own and name in their and own[name] != their[name]:
            return Difference(f"with {own[name]}", f"with {their[name]}", trait.advice)
    return None


def _parsed(kind: str) -> tuple[str, str, dict[str, str]]:
    """Return a kind's backend, its device, and its traits by their names, in words."""
    base, *parts = kind.split(_END)
    backend, _, device = base.partition(" on ")
    traits = {}
    for part in parts:
        fitting = [name for name, t in _TRAITS.items() if part.startswith(f"{t.words} ")]
        if fitting:
            traits[max(fitting, key=lambda name: len(_TRAITS[name].words))] = part
    return backend, device, traits
