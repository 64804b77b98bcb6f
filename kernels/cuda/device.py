"""A GPU, as the pair loops use it: memory, compiled programs, launches in order."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from stillhouse.kernels.cuda.compiler import compiled, toolchain

# Launch arguments: addresses, and numbers.
Argument = int | np.int32


class Memory(Protocol):
    """Device memory, freed with the object.

    Attributes:
        address: where it begins.
    """

    address: int


class Device(Protocol):
    """What computes the pair loops. Copies and launches happen in the order of the calls.

    Attributes:
        name: the model.
        shared_bytes: shared memory that a block may have.
        scratch_bytes: device memory that a call may take beside its arguments and results.
    """

    name: str
    shared_bytes: int
    scratch_bytes: int

    @property
    def toolchain(self) -> str:
        """What the machine code of a program depends on beside its source."""
        ...

    def load(self, source: str, kernels: Sequence[str]) -> Mapping[str, Any]:
        """Compile a program, and return its kernels by name."""
        ...

    def upload(self, array: np.ndarray) -> Memory:
        """Copy an array to the device."""
        ...

    def reserve(self, size: int) -> Memory:
        """Return `size` bytes, of whatever they hold.

        Raises:
            MemoryError: if the device has not so many.
        """
        ...

    def download(self, memory: Memory, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return what stands at the beginning of memory, once all launches so far are done."""
        ...

    def launch(
        self, kernel: Any, grid: tuple[int, int], threads: int, shared: int, *arguments: Argument
    ) -> None:
        """Launch a kernel of `load`."""
        ...


@functools.cache
def first_device() -> "CudaDevice":
    """Return the first GPU that this process sees, the same object each time.

    Raises:
        ValueError: if there is none, or cuda.core is not installed.
    """
    return CudaDevice()


def missing_reason() -> str | None:
    """Say why this process can compute nothing by CUDA, or return None if it can."""
    try:
        first_device()
    except ValueError as error:
        return str(error)
    return None


class CudaDevice:
    """The first GPU that this process sees, by CUDA's driver.

    Attributes:
        name: the model.
        arch: what programs are compiled for, such as "90".
        shared_bytes: shared memory that a block may have.
        scratch_bytes: device memory that a call may take beside its arguments and results: a
            quarter of what was free, at most 4 GiB.
    """

    def __init__(self) -> None:
        """Take the device.

        Raises:
            ValueError: if there is none, or cuda.core is not installed.
        """
        try:
            from cuda.core import Device as Core
        except ImportError as error:
            raise ValueError(
                f"the cuda backend is not installed ({error}): pip install 'stillhouse[cuda]'"
            ) from error
        try:
            self._core = Core(0)
            self._core.set_current()
        except Exception as error:  # Whatever the driver, or its absence, raises.
            raise ValueError(f"the cuda backend finds no GPU here ({error})") from error
        self._stream = self._core.create_stream()
        self.name = self._core.name
        self.arch = self._core.arch
        self.shared_bytes = self._core.properties.max_shared_memory_per_block_optin
        free, _ = _checked("cuMemGetInfo")
        self.scratch_bytes = min(free // 4, 1 << 32)

    @property
    def toolchain(self) -> str:
        """What the machine code of a program depends on beside its source."""
        return toolchain(self.arch)

    def load(self, source: str, kernels: Sequence[str]) -> Mapping[str, Any]:
        """Compile a program, and return its kernels by name."""
        self._core.set_current()
        code = compiled(source, self.arch)
        return {name: code.get_kernel(name) for name in kernels}

    def upload(self, array: np.ndarray) -> "_CudaMemory":
        """Copy an array to the device."""
        array = np.ascontiguousarray(array)
        memory = self.reserve(array.nbytes)
        stream = self._stream.handle
        _checked("cuMemcpyHtoDAsync", memory.address, array.ctypes.data, array.nbytes, stream)
        self._stream.sync()
        return memory

    def reserve(self, size: int) -> "_CudaMemory":
        """Return `size` bytes, of whatever they hold; see `Device.reserve`."""
        self._core.set_current()  # Of this thread, whichever it is.
        try:
            return _CudaMemory(self._core.allocate(size, stream=self._stream))
        except Exception as error:
            if "OUT_OF_MEMORY" in str(error).upper():
                raise MemoryError(f"{self.name}: no {size} bytes of memory are left") from error
            raise

    def download(self, memory: Memory, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return what stands at the beginning of memory, once all launches so far are done."""
        self._core.set_current()
        result = np.empty(shape, dtype)
        stream = self._stream.handle
        _checked("cuMemcpyDtoHAsync", result.ctypes.data, memory.address, result.nbytes, stream)
        self._stream.sync()
        return result

    def launch(
        self, kernel: Any, grid: tuple[int, int], threads: int, shared: int, *arguments: Argument
    ) -> None:
        """Launch a kernel of `load`."""
        from cuda.core import LaunchConfig, launch

        self._core.set_current()
        _allow_shared(kernel, shared, self._core.device_id)
        config = LaunchConfig(grid=grid, block=(threads,), shmem_size=shared)
        launch(self._stream, config, kernel, *arguments)


class _CudaMemory:
    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer  # Freed with this object, in the order of the stream.
        self.address = int(buffer.handle)


@functools.lru_cache(maxsize=256)
def _allow_shared(kernel: Any, size: int, device: int) -> None:
    """Let a kernel have more shared memory than the 48 KB that every block may take."""
    from cuda.bindings import driver

    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _checked("cuKernelSetAttribute", attribute, size, kernel.handle, device)


def _checked(function: str, *arguments: Any) -> tuple[Any, ...]:
    """Call a function of CUDA's driver; return what it gives."""
    from cuda.bindings import driver

    code, *results = getattr(driver, function)(*arguments)
    if code != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"{function} failed: {code.name}")
    return tuple(results)
