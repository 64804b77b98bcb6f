"""How much memory a network's programs take on a device, counted before anything is compiled."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from stillhouse.kernels.device_memory import given_bytes, model_bytes
from stillhouse.networks.narrow_conv import written_out

# XLA keeps copies in other layouts of what convolutions read and write. In its own plans for the
# CPU no network's step or prediction took more than this many times what is alive at once.
_COPIES = 3
# What is counted is at most this many times what a program takes: XLA never writes much of it.
OVERCOUNT = 4
# The part of a device's memory that predictions may take: the training beside them has its own.
_SHARE = 2


def program_bytes(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the bytes that a program takes at most, its arguments and results included.

    Nothing is computed or compiled. Counted is what is alive at once, with every result of every
    operation written out and kept until it was read for the last time: for a step of training the
    activations of each layer, from the forward pass to the backward one, their cotangents, the
    gradients and the new parameters and moments.

    Args:
        function: the program, traced by `jax.make_jaxpr`.
        arguments: arrays, or shapes and dtypes alone, `jax.ShapeDtypeStruct`.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    return sum(map(_bytes, jaxpr.invars)) + _turned(jaxpr) + _COPIES * _most_alive(jaxpr)


def _turned(jaxpr: Any) -> int:
    """Return the bytes of transposed arguments, such as windows: XLA makes them all beforehand."""
    given = {id(v) for v in jaxpr.invars}
    own = (e for e in jaxpr.eqns if e.primitive.name == "transpose" and id(e.invars[0]) in given)
    inner = (program for eqn in jaxpr.eqns for program in _inner(eqn))
    return sum(_bytes(eqn.outvars[0]) for eqn in own) + sum(map(_turned, inner))


def _most_alive(jaxpr: Any) -> int:
    """Return the most bytes that are alive at once of what a program makes."""
    ends = len(jaxpr.eqns)
    last = {id(v): number for number, eqn in enumerate(jaxpr.eqns) for v in eqn.invars}
    last.update((id(v), ends) for v in jaxpr.outvars)
    made: dict[int, int] = {}
    alive = most = 0
    for number, eqn in enumerate(jaxpr.eqns):
        new = {id(v): _bytes(v) for v in eqn.outvars}
        inside = max([sum(new.values()), _written_out(eqn), *map(_most_alive, _inner(eqn))])
        most = max(most, alive + inside)
        made.update((v, size) for v, size in new.items() if v in last)
        alive += sum(size for v, size in new.items() if v in last)
        for v in {id(v) for v in eqn.invars}:
            if last[v] == number:
                alive -= made.pop(v, 0)
    return most


def _inner(eqn: Any) -> Iterator[Any]:
    """Yield the programs that an operation runs: a jitted function, the branches of a condition."""
    for value in eqn.params.values():
        for part in value if isinstance(value, list | tuple) else [value]:
            program = getattr(part, "jaxpr", part)
            if hasattr(program, "eqns"):
                yield program


def _written_out(eqn: Any) -> int:
    """Return what a convolution that is written out has alive at once, in units of `_COPIES`."""
    if eqn.primitive not in written_out:
        return 0
    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
    program = jax.make_jaxpr(written_out[eqn.primitive])(*shapes).jaxpr
    # Most copies are operations of its own, and counted by them: in XLA's plans it took no more
    # than twice what they come to, beside its inputs.
    return sum(map(_bytes, eqn.invars)) + 2 * _most_alive(program) // _COPIES


def _bytes(variable: Any) -> int:
    aval = variable.aval
    return math.prod(aval.shape) * int(aval.dtype.itemsize)


def prediction_batch(bytes_of: Callable[[int], int], most: int) -> int:
    """Return how many images JAX's default device predicts at a time.

    The same on every device of one model; `most` where the device does not say its memory.

    Args:
        bytes_of: from a number of images to the bytes that their prediction takes.
        most: no more than this; it is halved until it fits, or is 1.
    """
    total = model_bytes()
    while total is not None and most > 1 and bytes_of(most) > total // _SHARE:
        most //= 2
    return most


def check_batch(bytes_of: Callable[[int], int], batch: int) -> None:
    """Refuse a batch that JAX's default device cannot hold; where it does not say, none.

    Args:
        bytes_of: from a number of images to the bytes counted for a step of training.
        batch: images of a step.

    Raises:
        ValueError: if even the least that a step may take is more than JAX may use.
    """
    given = given_bytes()
    least = bytes_of(batch) // OVERCOUNT if given else 0
    if given is None or least <= given:
        return
    fits = batch
    while fits and bytes_of(fits) > given:
        fits //= 2
    mend = f"use a `batch_size` of {fits}" if fits else "use a smaller network or smaller images"
    raise ValueError(
        f"a step of training with a batch of {batch:,} images takes {_gib(least)} or more, and JAX "
        f"may use {_gib(given)} of this device; {mend}"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"
