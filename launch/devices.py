"""What a process computes on: one device, and so many threads."""

import os

import jax
from threadpoolctl import threadpool_limits


def use_device(device: str, threads: int | None = None) -> None:
    """Let this process compute on one device, before JAX looks for any.

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
        jax.config.update("jax_platforms", "cpu")
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = _visible(int(device.removeprefix("gpu:")))
    _check_gpu(device)


def use_threads(threads: int) -> None:
    """Let linear algebra and XLA use so many threads, before JAX looks for devices."""
    os.environ["NPROC"] = str(threads)  # Where XLA looks for the size of its thread pool.
    threadpool_limits(threads)


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


def _check_gpu(device: str) -> None:
    try:
        found = jax.default_backend()
    except RuntimeError as error:
        found = f"nothing ({error})"
    if found != "gpu":
        raise ValueError(
            f"`--device` is {device}, but JAX finds {found} here; install jax[cuda12], or give "
            "--device=cpu"
        )
