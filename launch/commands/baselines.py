"""`stillhouse baselines`: what gradient steps on real images come to, and nearest neighbours."""

import dataclasses
import json

from tqdm import tqdm

from stillhouse.analysis.step_baselines import Baseline, StepBaselines, StepsPlan, all_baselines
from stillhouse.data.transforms import fit_transform
from stillhouse.launch.devices import use_threads
from stillhouse.launch.errors import STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.reading import read_dataset
from stillhouse.launch.settings.baselines import BaselinesConfig
from stillhouse.methods.coresets import check_support_size
from stillhouse.methods.unrolling.initialisation import Initialisation
from stillhouse.networks import build_network


def run(config: BaselinesConfig) -> int:
    """Print a table of the baselines, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or no rate gives finite losses.
    """
    asked = config.steps
    with bad_input():
        use_threads(asked.threads)
        dataset = read_dataset(config.data.dataset, config.reading)
        spec, classes = config.network.spec, dataset.num_classes
        build_network(spec, dataset.image_shape, classes)  # Raises if images do not fit it.
        plan = StepsPlan(
            *(spec, asked.distill_steps, asked.distill_epochs, asked.ipc),
            tuple(map(float, asked.rates)),
            *(asked.draws, asked.candidates, asked.seed),
        )
        pool = None
        if asked.pool is not None:
            start = Initialisation("pool", asked.pool, flag="pool")
            start.check(spec, dataset, config.data.transform)
            pool = start.pool
        check_support_size(plan.size(classes), classes, dataset.y_train)
        transform = fit_transform(config.data.transform, dataset.x_train)
    with tqdm(desc="networks", disable=None, leave=False) as bar:
        with bad_input():
            baselines = StepBaselines(plan, dataset, transform, pool, bar.update)

        def done(found: Baseline) -> None:
            if not config.output.json:
                bar.write(_line(found))

        try:
            found = all_baselines(baselines, asked.kinds, done=done)
        except FloatingPointError as error:
            raise CommandError(one_line(error), STOPPED) from error
    if config.output.json:
        rows = [
            {**dataclasses.asdict(one), "mean": one.mean, "deviation": one.deviation}
            for one in found
        ]
        steps = {**dataclasses.asdict(plan), "network": spec.to_dict()}
        print(json.dumps({"dataset": dataset.name, "plan": steps, "baselines": rows}))
        return 0
    print(
        f"{plan.size(classes)} images of {dataset.name}, {plan.steps} steps x {plan.epochs} "
        f"epochs of a {spec}, {len(dataset.y_test):,} test images"
    )
    return 0


def _line(found: Baseline) -> str:
    chosen = f"rate {found.chosen:g}" if found.way == "gradient steps" else f"k = {found.chosen:g}"
    return (
        f"{found.kind:<11}{found.way:<20}test accuracy {found.mean:.4f} +- {found.deviation:.4f} "
        f"of {len(found.accuracies)}, {chosen}"
    )
