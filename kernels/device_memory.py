"""How much memory JAX's default device has."""

import os

import jax

_USUAL_FRACTION = 0.75
FRACTIONS = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION")


def given_bytes() -> int | None:
    """Return how many bytes of the device JAX may use; None where it does not say, as on a CPU."""
    stats = jax.local_devices()[0].memory_stats()
    return (stats or {}).get("bytes_limit") or None


def model_bytes() -> int | None:
    """Return a power of two of bytes that every device of this model has; None as `given_bytes`.

    The same whatever of it is free and whatever share of it JAX was given: what is chosen by it
    decides the order of sums, and so the last bits.
    """
    limit = given_bytes()
    if limit is None:
        return None
    given = next((os.environ[name] for name in FRACTIONS if os.environ.get(name)), None)
    total = limit / (float(given) if given else _USUAL_FRACTION)
    # A power of two: drivers keep a little for themselves, one more than another.
    return 1 << int(total).bit_length() - 1
