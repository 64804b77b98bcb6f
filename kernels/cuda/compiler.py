"""CUDA C++ to machine code, by NVRTC: no toolkit and no GPU is needed to compile.

Code is kept in a folder of the user's cache, under a hash of all that it depends on.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO, Any

from stillhouse.kernels.fused.compile_cache import cache_root

SOURCES = Path(__file__).parent / "source"
"""The folder of the sources."""


def compiled(source: str, arch: str) -> Any:
    """Return a program's `cuda.core.ObjectCode`, compiled now or before.

    Args:
        source: the program, which may include files of `SOURCES`.
        arch: such as "90", for sm_90.

    Raises:
        RuntimeError: if it does not compile.
    """
    from cuda.core import ObjectCode

    path = cache_folder() / f"{fingerprint(source, toolchain(arch))}.cubin"
    if not path.exists():
        code = compile_now(source, arch)
        write_whole(path, bytes(code.code))
        return code
    return ObjectCode.from_cubin(path.read_bytes())


def compile_now(source: str, arch: str, log: IO[str] | None = None) -> Any:
    """Compile a program, past the cache.

    Args:
        source: as of `compiled`.
        arch: likewise.
        log: takes the assembler's report: registers and spills of each kernel.

    Raises:
        RuntimeError: if it does not compile.
    """
    from cuda.core import Program, ProgramOptions

    options = ProgramOptions(
        arch=f"sm_{arch}",
        std="c++17",
        include_path=str(SOURCES),
        ptxas_options=None if log is None else "-v",
    )
    return Program(source, "c++", options).compile("cubin", logs=log)


def toolchain(arch: str) -> str:
    """Return what machine code depends on beside its source: compiler and architecture."""
    from cuda.bindings import nvrtc

    _, major, minor = nvrtc.nvrtcVersion()
    return f"NVRTC {major}.{minor}, sm_{arch}"


def fingerprint(source: str, *more: str) -> str:
    """Return a hash of a program, of all sources it may include, and of more."""
    parts = [source, *more, *(path.read_text() for path in sorted(SOURCES.glob("*.cuh")))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def cache_folder() -> Path:
    """Return the folder of programs and verdicts."""
    return cache_root() / "cuda"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of the cache whole or not at all; that it cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    except OSError:
        pass
