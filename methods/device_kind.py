"""What kind of device computes: the same program on another kind may differ in the last bits."""

import functools
import platform
import re
import subprocess
from pathlib import Path

# What loops are compiled for, the widest first; it decides the order of sums.
_VECTORS = ("avx512f", "avx2", "avx", "sse4_2", "sve2", "sve", "asimd", "neon")
_LONGEST = 120


def device_kind(device: str) -> str:
    """Return the model of what computes in this process, as one printable line.

    Args:
        device: "cpu", or "gpu:0" and so on where JAX computes on its first GPU.
    """
    if device == "cpu":
        return f"cpu: {processor()}"
    import jax

    return _line(str(jax.local_devices()[0].device_kind))


def own_device(backend: str) -> str:
    """Return what a backend computes on in this process: "cpu", or "gpu:0" for JAX's first GPU."""
    if backend == "fused":
        return "cpu"
    import jax

    return "gpu:0" if jax.default_backend() == "gpu" else "cpu"


@functools.cache
def processor() -> str:
    """Return the model of the processor and its widest vectors, such as `... 8481C (avx512f)`."""
    model, features = "", set[str]()
    if platform.system() == "Darwin":
        model = _sysctl("machdep.cpu.brand_string")
    else:
        model, features = _linux()
    model = model or platform.processor() or platform.machine() or "unknown"
    widest = next((name for name in _VECTORS if name in features), "")
    return _line(model) + (f" ({widest})" if widest else "")


def _linux() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", set()
    lines = (line.partition(":") for line in text.splitlines())
    entries: dict[str, str] = {}
    for name, _, value in lines:
        entries.setdefault(name.strip().lower(), value.strip())
    features = entries.get("flags") or entries.get("features") or ""
    model = entries.get("model name", "")
    if not model and "cpu part" in entries:  # ARM names its processors by numbers.
        model = f"{platform.machine()} {entries.get('cpu implementer', '?')}/{entries['cpu part']}"
    return model, set(features.split())


def _sysctl(name: str) -> str:
    try:
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _line(text: str) -> str:
    words = re.sub(r"[^\x20-\x7e]", " ", text).split()
    return " ".join(words)[:_LONGEST]
