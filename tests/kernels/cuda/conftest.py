"""A device on the processor: the sources of the cuda backend under g++, one fiber a thread."""

import ctypes
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, kernel
from stillhouse.kernels.cuda import CudaKernel
from stillhouse.kernels.cuda.compiler import SOURCES

HERE = Path(__file__).parent
GPP = shutil.which("g++")


class EmulatedDevice:
    """A `Device` whose blocks run one after the other, threads in an order drawn from a seed.

    Args:
        folder: where programs are built.
        seed: of the order of threads.
        shared_bytes: shared memory that a block may have.
        scratch_bytes: memory between levels.
        edit: what is to become of the sources, as pairs of a text and its replacement.
    """

    name = "emulated"
    toolchain = "g++"

    def __init__(self, folder, *, seed=1, shared_bytes=232448, scratch_bytes=1 << 30, edit=()):
        self.shared_bytes = shared_bytes
        self.scratch_bytes = scratch_bytes
        self.seed = seed
        self._folder = Path(folder)
        self._edit = edit

    def load(self, source, kernels):
        library = ctypes.CDLL(str(self._build(source, kernels)))
        return {name: getattr(library, f"launch_{name}") for name in kernels}

    def upload(self, array):
        return _Memory(np.ascontiguousarray(array).copy())

    def reserve(self, size):
        return _Memory(np.full(max(size, 4), 0xFF, np.uint8))  # NaN, whatever it is read as

    def download(self, memory, shape, dtype):
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return memory.array.view(np.uint8).ravel()[:count].copy().view(dtype).reshape(shape)

    def launch(self, kernel, grid, threads, shared, *arguments):
        values = [
            ctypes.c_int(int(a)) if isinstance(a, np.int32) else ctypes.c_void_p(a)
            for a in arguments
        ]
        kernel(*grid, threads, shared, self.seed, *values)

    def _build(self, source, kernels):
        folder = self._folder / hashlib.sha256(repr(self._edit).encode()).hexdigest()[:16]
        if not folder.exists():
            self._copy_sources(folder)
        text = source + "\n".join(_launcher(name, folder) for name in kernels)
        stem = hashlib.sha256(f"{folder}{text}".encode()).hexdigest()[:16]
        path = self._folder / f"{stem}.cpp"
        library = path.with_suffix(".so")
        if not library.exists():
            path.write_text(text)
            command = [GPP, "-O2", "-std=c++17", "-w", "-shared", "-fPIC", "-I", str(folder)]
            subprocess.run([*command, "-o", str(library), str(path)], check=True, timeout=300)
        return library

    def _copy_sources(self, folder):
        shutil.copytree(SOURCES, folder)
        (folder / "device.cuh").write_text(f'#include "{HERE / "emulation.h"}"\n')
        for old, new in self._edit:
            found = [path for path in folder.glob("*.cuh") if old in path.read_text()]
            assert found, f"the sources have no {old!r}"
            for path in found:
                path.write_text(path.read_text().replace(old, new))


class _Memory:
    def __init__(self, array):
        self.array = array
        self.address = array.ctypes.data


def _launcher(name, folder):
    """A C function that launches kernel `name` over a grid."""
    kinds = _parameters(re.sub(r"\d+$", "##k", name), (folder / "entry.cuh").read_text())
    named = ", ".join(f"{kind} a{i}" for i, kind in enumerate(kinds))
    given = ", ".join(f"a{i}" for i in range(len(kinds)))
    return f"""
static std::tuple<{", ".join(kinds)}> arguments_{name};
static void body_{name}() {{ std::apply({name}, arguments_{name}); }}
extern "C" void launch_{name}(int x, int y, int threads, int shared, unsigned seed, {named}) {{
  arguments_{name} = {{{given}}};
  run_grid(x, y, threads, shared, body_{name}, seed);
}}
"""


def _parameters(name, text):
    """The types of a kernel's parameters, as the sources have them."""
    inside = re.search(rf"\b{re.escape(name)}\(([^)]*)\) \{{", text.replace("\\\n", " "))
    return [part.strip().rsplit(" ", 1)[0] for part in inside[1].split(",")]


@pytest.fixture(scope="session")
def build_folder(tmp_path_factory):
    """Where emulated programs are built, once for all tests."""
    if GPP is None:
        pytest.skip("g++, which compiles the GPU's sources for the emulation, is not installed")
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture
def emulated(build_folder):
    """Return a cuda kernel whose GPU is emulated; options are those of `EmulatedDevice`."""

    def make(architecture, kind="ntk", *, checks=False, **options):
        device = EmulatedDevice(build_folder, **options)
        return CudaKernel(KernelSpec(architecture, kind), threads=1, device=device, checks=checks)

    return make


@pytest.fixture
def fused():
    def make(architecture, kind="ntk"):
        return kernel(KernelSpec(architecture, kind), backend="fused", threads=1)

    return make


@pytest.fixture
def images():
    def draw(n, shape, seed=0):
        return np.random.default_rng(seed).standard_normal((n, *shape), np.float32)

    return draw
