"""A method of one's own: images move to the means of their classes, one task for each image.

This file is the `stillhouse` command with one more method and one more program:

    python examples/class_means.py distill --method=class_means --dataset=digits --out=runs/means
    python examples/class_means.py serve --method=class_means --out=runs/means   # and, twice:
    python examples/class_means.py worker --server=localhost:18400
"""

import dataclasses
import sys

import numpy as np

from stillhouse.methods import KrrAlgorithm, Task, add_method, evaluation_cost
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.methods.options import at_least, option, positive
from stillhouse.methods.programs import ArrayType, Program, register


@register("mean_image")
@dataclasses.dataclass(frozen=True)
class MeanImage(Program):
    """The mean of shared images `[n, h, w, c]`: float32 `[h, w, c]`."""

    unit = "images averaged"

    def check(self, shared, own):
        if len(shared) != 1 or own or len(shared[0].shape) != 4:
            raise ValueError("a mean is that of one set of images [n, h, w, c]")

    def results(self, shared, own):
        return (ArrayType(shared[0].shape[1:]),)

    def work(self, shared, own):
        return shared[0].shape[0]

    def compute(self, context, shared, own):
        return (shared[0].mean(axis=0, dtype=np.float64).astype(np.float32),)


@dataclasses.dataclass(frozen=True)
class ClassMeans(KernelSettings):
    """Class means.

    Attributes:
        steps: how many steps.
        rate: how far an image moves in each, from 0 to its class's mean.
    """

    about = "move images to the means of their classes"

    steps: int = option(30, "how many steps", check=at_least(1))
    rate: float = option(0.2, "how far an image moves in each, as a share", check=positive)

    def steps_for(self, dataset):
        return self.steps

    def cost(self, sizes, *, steps, evaluations):
        cost = evaluation_cost(sizes, images=sizes.test * evaluations)
        return self.with_final_scores(cost, sizes.support, sizes.chunk)

    def identity(self):
        return {**super().identity(), "steps": self.steps, "rate": self.rate}

    def algorithm(self, problem):
        scoring = self.scoring(problem, self.computer(problem))
        return Steps(scoring, problem.start, problem.targets, problem.runner, self.rate)


@dataclasses.dataclass(frozen=True)
class Steps(KrrAlgorithm):
    """The steps: a state is its arrays, and the set is scored by kernel ridge regression."""

    targets: object
    runner: object
    rate: float

    def advance(self, state, step):
        x, y = self.targets.batch(step - 1)
        classes, images = y.argmax(axis=1), state["images"]
        tasks = [Task(MeanImage(), (x[classes == c],)) for c in state["labels"].argmax(axis=1)]
        means = np.stack([mean for (mean,) in self.runner.results(tasks)])
        moved = images + np.float32(self.rate) * (means - images)
        return {**state, "images": moved}, {"loss": float(np.mean((means - images) ** 2))}


add_method("class_means", ClassMeans)

if __name__ == "__main__":
    from stillhouse.launch.main import main

    sys.exit(main())
