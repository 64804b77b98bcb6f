"""How large studies are, as settings that are flags too. Nothing here imports JAX."""

import dataclasses

from stillhouse.methods.architectures import parse_ensemble
from stillhouse.methods.options import Checked, at_least, option, positive


def _counts(texts: tuple[str, ...]) -> str | None:
    right = all(text.isascii() and text.isdigit() for text in texts)
    counts = list(map(int, texts)) if right else []
    if counts and counts == sorted(set(counts)) and counts[0] == 0 and len(counts) > 1:
        return None
    return "ascending numbers of images a class that begin with 0, such as 0,2,10,50,250"


def _kernel(text: str) -> str | None:
    try:
        parse_ensemble((text,))
    except ValueError:
        return "a family of networks and its depth, such as fc:2 or convnet:3"
    return None


@dataclasses.dataclass(frozen=True)
class StudySizes(Checked):
    """Sizes.

    Attributes:
        networks: of each kind that is trained.
        steps: of each training.
        batch_size: images of a step; all where there are fewer.
        learning_rate: of gradient descent with momentum .9.
        test_images: real images that are answered; 0 for all.
        iterations: how far along the training on real images a study looks.
        snapshots: of each network along it that are asked; 0 for all.
        real: images a class that are mixed in, as texts.
        subsets: networks on real images alone, for each set that they are to match.
        probes: vectors of each estimate of a trace.
        curvature_points: moments along the training at which curvature is looked at.
        curvature_images: real images whose curvature is beside that of the sets.
        top_eigenvalue: whether the largest eigenvalue is found too.
        influence_functions: whether these are held against leaving out and training again.
        kernel: family and depth of the network of whose kernel the spectrum is.
    """

    networks: int = option(3, "networks of each kind to train, for each set", check=at_least(1))
    steps: int = option(300, "steps of each training", check=at_least(1))
    batch_size: int = option(
        256, "images of a step; all of them where there are fewer", check=at_least(1)
    )
    learning_rate: float = option(
        0.01, "of these trainings, by gradient descent with momentum 0.9", check=positive
    )
    test_images: int = option(
        2000, "real test images that are answered, as many of each class; 0: all", check=at_least(0)
    )
    iterations: int = option(
        300, "how far along the training on real images to look", check=at_least(1)
    )
    snapshots: int = option(
        60,
        "weights of each network along that training that are asked, evenly spread; 0: all that "
        "the pool has",
        check=at_least(0),
    )
    real: tuple[str, ...] = option(
        ("0", "2", "10", "50", "250"), "real images a class that are mixed in", check=_counts
    )
    subsets: int = option(
        8, "networks on parts of the real images, for each set that they match", check=at_least(1)
    )
    probes: int = option(
        16, "random vectors of each estimate of a Hessian's trace", check=at_least(2)
    )
    curvature_points: int = option(
        12, "moments along training at which to find the trace", check=at_least(2)
    )
    curvature_images: int = option(
        500, "real images, as many of each class, whose trace is found too", check=at_least(1)
    )
    top_eigenvalue: bool = option(False, "find the Hessian's largest eigenvalue too")
    influence_functions: bool = option(
        False, "hold influence functions against leaving an image out and training again"
    )
    kernel: str = option(
        "fc:2", "the network, with its depth, whose kernel's spectrum is cut up", check=_kernel
    )

    @property
    def real_counts(self) -> tuple[int, ...]:
        """The real images a class that are mixed in."""
        return tuple(map(int, self.real))
