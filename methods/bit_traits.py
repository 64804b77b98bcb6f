"""What decides the last bits of what this process computes, beside the model of its device."""

import importlib.metadata
import os
import re
from typing import Any

from stillhouse.kernels.threads import default_threads

# What loops over floats are compiled for; of the other features of a processor no bit depends.
_VECTORS = (
    *("sse4.2", "avx", "fma", "avx2", "avx512f", "avx512dq", "avx512bw", "avx512vl"),
    *("avx512fp16", "avx512bf16", "neon", "sve", "sve2"),
)
# Vectors of NumPy's that few processors have, though they have wider ones.
_RARE = ("XOP", "FMA4", "AVX512_KNL", "AVX512_KNM")
# From this jaxlib on products of float64 are shared whatever `--xla_cpu_multi_thread_eigen` says.
_SHARES_ALL_THE_SAME = (0, 4, 32)
# Flags of XLA that say what it prints, or how many devices it has, and not how it computes.
_IDLE_FLAGS = ("--xla_dump", "--xla_hlo_profile", "--xla_force_host_platform_device_count")


def bit_traits(device: str) -> dict[str, str]:
    """Return, by name, what decides how this process rounds, each as a short printable text.

    Which of them matter for a run is for `computing_kind` to say. Call it when the process has its
    threads and its device.

    Args:
        device: "cpu", or "gpu:0" and so on where JAX computes on its first GPU.
    """
    return {
        "numba": importlib.metadata.version("numba"),
        "numba_target": _numba_target(),
        "numpy": importlib.metadata.version("numpy"),
        "numpy_vectors": _numpy_vectors(),
        "blas": _blas(),
        "blas_threads": _blas_threads(),
        "jaxlib": importlib.metadata.version("jaxlib"),
        "xla_flags": _xla_flags(),
        "xla_processors": _xla_processors(),
        "gpu_libraries": "" if device == "cpu" else _gpu_libraries(),
    }


def _numba_target() -> str:
    """Return the processor that Numba compiles for, and its vectors."""
    from numba.core.registry import cpu_target

    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    on = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    return f"{name} ({' '.join(v for v in _VECTORS if v in on) or 'no vectors beyond the least'})"


def _numpy_vectors() -> str:
    """Return the widest vectors that NumPy's loops use, and what is missing below them."""
    import numpy as np

    core: Any = np._core if hasattr(np, "_core") else np.core
    umath = core._multiarray_umath
    known = umath.__cpu_dispatch__
    used = [name for name in known if umath.__cpu_features__[name]]
    if not used:
        return "the least"
    below = known[: known.index(used[-1])]
    missing = " ".join(name for name in below if name not in used and name not in _RARE)
    return used[-1] + (f" without {missing}" if missing else "")


def _blas() -> str:
    """Return the libraries of linear algebra, and for which processors they were chosen."""
    names = {
        f"{info['internal_api']} {info['version']} {info.get('architecture') or ''}".strip()
        for info in _blas_libraries()
    }
    return ", ".join(sorted(names)) or "unknown"


def _blas_threads() -> str:
    """Return among how many threads they share a product or a factorisation."""
    counts = {info["num_threads"] for info in _blas_libraries()}
    return ", ".join(map(str, sorted(counts))) or "unknown"


def _blas_libraries() -> list[dict[str, Any]]:
    # SciPy brings one of its own.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    # Whoever else is loaded here, such as PyTorch, computes nothing of ours.
    own = [info for info in found if re.search(r"[/\\](numpy|scipy)", info["filepath"])]
    return own or found


def _xla_flags() -> str:
    """Return the flags that XLA was given, in one order."""
    flags = os.environ.get("XLA_FLAGS", "").split()
    return " ".join(sorted(f for f in flags if not f.startswith(_IDLE_FLAGS))) or "none"


def _xla_processors() -> str:
    """Return among how many processors XLA shares its products."""
    alone = "--xla_cpu_multi_thread_eigen=false" in os.environ.get("XLA_FLAGS", "").split()
    if alone and _version("jaxlib") < _SHARES_ALL_THE_SAME:
        return "1"
    return os.environ.get("NPROC") or str(default_threads())


def _version(package: str) -> tuple[int, ...]:
    numbers = re.findall(r"\d+", importlib.metadata.version(package))
    return tuple(map(int, numbers[:3]))


def _gpu_libraries() -> str:
    """Return the versions that JAX's first device computes with, such as `cuda 12030`."""
    import jax

    return " ".join(str(jax.local_devices()[0].client.platform_version).split()) or "unknown"
