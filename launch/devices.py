"""What a process computes on: one device, and so many threads."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from absl import logging
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from stillhouse.launch.settings.run import DistillConfig

# Of a GPU's memory that others have: more than a driver and a display need.
_SHARED = 0.1
_MEMORY_SETTINGS = ("XLA_PYTHON_CLIENT_", "XLA_CLIENT_")


def use_device(device: str, threads: int | None = None) -> None:
    """Let this process compute on one device, before JAX looks for any.

    On a GPU that is free JAX takes three quarters of the memory when it begins, so that nothing is
    broken into pieces later; on one where others have memory already it takes what it needs when it
    needs it. `XLA_PYTHON_CLIENT_PREALLOCATE` and its like are respected where they are set.

    Args:
        device: "cpu", or "gpu:" and a number, which counts the GPUs that the process may see: on a
            cluster those of its job.
        threads: processor threads for linear algebra and for XLA; None for all cores.

    Raises:
        ValueError: if there is no such device.
    """
    if threads is not None:
        use_threads(threads)
    if device == "cpu":
        _keep_to_cpu()
        return
    # The numbers that nvidia-smi shows, on hosts of several models too.
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    name = _visible(int(device.removeprefix("gpu:")))
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    if not any(variable.startswith(_MEMORY_SETTINGS) for variable in os.environ):
        _share_memory(name)
    _check_gpu(device)


def use_threads(threads: int) -> None:
    """Let linear algebra and XLA use so many threads, before JAX looks for devices."""
    # It brings a BLAS of its own; what is loaded only later is not limited.
    import scipy.linalg  # noqa: F401

    os.environ["NPROC"] = str(threads)  # Where XLA looks for the size of its thread pool.
    threadpool_limits(threads)


def use_threads_of(config: "DistillConfig") -> None:
    """Let this process use the threads that its tasks are to have, where their bits go with these.

    So does one that keeps the run while workers compute: what it computes itself is to have the
    same bits. Nothing is done where the method's bits do not depend on it.
    """
    if config.own.threads and config.compute.threads:
        use_threads(config.compute.threads)


def _keep_to_cpu() -> None:
    """Have JAX look for nothing but the processor; the fused loops do not need it at all."""
    os.environ["JAX_PLATFORMS"] = "cpu"  # Where it looks when it is imported.
    if "jax" in sys.modules:
        import jax

        jax.config.update("jax_platforms", "cpu")


def _visible(number: int) -> str:
    """Return CUDA's name of the GPU of a number."""
    variable = os.environ.get("CUDA_VISIBLE_DEVICES")
    if variable is None:
        return str(number)
    names = [name for name in variable.split(",") if name]
    if number >= len(names):
        raise ValueError(
            f"`--device` is gpu:{number}, but CUDA_VISIBLE_DEVICES={variable} shows this process "
            f"{len(names)} of them, counted from gpu:0"
        )
    return names[number]


def _share_memory(name: str) -> None:
    """Take memory as it is needed, not at once, from a GPU that others use."""
    command = ["nvidia-smi", "--query-gpu=memory.used,memory.total", f"--id={name}"]
    try:
        done = subprocess.run(
            [*command, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=20
        )
        used, total = map(float, done.stdout.split(","))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return  # Not known: as JAX does.
    if used > _SHARED * total:
        logging.info("others have %.0f of this GPU's %.0f MiB: memory is shared", used, total)
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"


def _check_gpu(device: str) -> None:
    import jax

    try:
        found = jax.default_backend()
    except RuntimeError as error:
        found = f"nothing ({error})"
    if found != "gpu":
        raise ValueError(
            f"`--device` is {device}, but JAX finds {found} here: there is no such GPU, or JAX "
            "cannot use it; name another one, install jax[cuda12], or give --device=cpu"
        )
