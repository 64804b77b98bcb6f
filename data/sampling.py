"""Random choices that depend on nothing but what they are asked for."""

import hashlib
import json

import numpy as np


def rng_for(seed: int, *stream: int | str) -> np.random.Generator:
    """Return a generator that is a pure function of its arguments.

    Different streams of one seed are independent, so that, say, the target batch of step 7 can be
    drawn without drawing those before it: `rng_for(seed, "targets", 7)`.

    Args:
        seed: the seed of the run, zero or positive.
        stream: names and numbers that say what the generator is for.

    Raises:
        ValueError: if the seed is negative or not an integer, or a part of the stream is neither a
            text nor an integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"`seed` must be an integer, zero or positive, got {seed!r}")
    parts: list[int | str] = [int(seed)]
    for part in stream:
        if isinstance(part, bool) or not isinstance(part, int | np.integer | str):
            raise ValueError(f"a stream is made of texts and integers, got {part!r}")
        parts.append(part if isinstance(part, str) else int(part))
    # Hashed, because a seed sequence would read numbers above 2**32 as several smaller ones.
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    entropy = np.random.SeedSequence(int.from_bytes(digest, "big"))
    return np.random.Generator(np.random.PCG64(entropy))


def class_balanced_indices(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw images without replacement, equally many of each class.

    Where `size` is no multiple of the number of classes, some classes, drawn at random, give one
    image more.

    Args:
        labels: int64 `[n]`, classes 0 to k - 1; k is the largest label plus one.
        size: the number of images to draw.
        rng: the source of randomness.

    Returns:
        int64 `[size]`, grouped by class, in random order within each.

    Raises:
        ValueError: if `size` is not positive, or a class has too few images.
    """
    counts = np.bincount(labels)
    check_class_balanced(counts, size)
    wanted = np.full(len(counts), size // len(counts))
    wanted[rng.permutation(len(counts))[: size % len(counts)]] += 1
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:number]
        for label, number in enumerate(wanted)
    ]
    return np.concatenate(chosen).astype(np.int64)


def check_class_balanced(counts: np.ndarray, size: int) -> None:
    """Raise `ValueError` unless a balanced draw of `size` images finds enough of every class.

    Args:
        counts: the number of images of each class, `[k]`.
        size: the number of images to draw.
    """
    if size < 1:
        raise ValueError(f"a sample needs one image at least, got a size of {size}")
    share = -(-size // len(counts))
    rarest = int(np.argmin(counts))
    if counts[rarest] < share:
        raise ValueError(
            f"{size} images of {len(counts)} classes need {share} of each, but class {rarest} has "
            f"{counts[rarest]}: ask for {len(counts) * int(counts[rarest])} at most"
        )
