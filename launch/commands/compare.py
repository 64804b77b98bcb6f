"""`stillhouse compare`: several sets under the same judges."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stillhouse.analysis.baselines import baseline_set
from stillhouse.analysis.comparison import (
    Comparison,
    Contender,
    Judge,
    KernelJudge,
    NetworkJudge,
    Row,
    Tests,
    comparison_page,
    fingerprint,
)
from stillhouse.analysis.report.krr import Accuracy
from stillhouse.data.atomic import write_bytes
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import TrainingRecipe
from stillhouse.data.sampling import class_balanced_indices, rng_for
from stillhouse.data.siamese import plain_augmentation
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.command_line import command_line
from stillhouse.launch.devices import use_threads
from stillhouse.launch.errors import bad_input
from stillhouse.launch.many_sets import check_fits, sets_in, short_names
from stillhouse.launch.report.kernels import parse_kernels
from stillhouse.launch.sets import dataset_for, load_set, transform_for
from stillhouse.launch.settings.compare import CompareConfig
from stillhouse.launch.settings.sets import SetConfig
from stillhouse.methods.architectures import build_architecture
from stillhouse.networks import build_network
from stillhouse.server.run_folder import RunFolder
from stillhouse.workers.local import LocalComputer

_BATCH, _L2 = 256, 5e-4
_NAMES = {"random": "random real", "kmeans": "k-means", "average": "class averages"}


def run(config: CompareConfig) -> int:
    """Print the table, write it and its page, and return the exit code.

    Raises:
        CommandError: if something is wrong with a set, the dataset or the settings, or the folder
            cannot be written.
    """
    with bad_input():
        if config.compute.threads is not None:
            use_threads(config.compute.threads)
        kept = _Kept(Path(config.output.out).expanduser())
        contenders, dataset = _contenders(config)
        judges = _judges(config, dataset)
        tests = _tests(config, dataset)
        comparison = _judged(config, contenders, judges, tests, dataset.name, kept)
        page = comparison_page(
            comparison, command_line("compare", config.files, config, leave=("json",))
        )
        kept.write("comparison.html", page)
        kept.write("comparison.json", json.dumps(comparison.plain(), indent=1) + "\n")
        kept.write("comparison.csv", comparison.csv())
    if config.output.json:
        print(json.dumps(comparison.plain()))
        return 0
    print(comparison.text())
    print(
        f"test accuracy in percent, on {comparison.test_images:,} test images of {dataset.name}\n"
        f"{kept.folder}: comparison.html, comparison.json, comparison.csv"
    )
    return 0


class _Kept:
    """The folder of a comparison, with every judgement that was made in it.

    Raises:
        ValueError: if what is there is none.
        OSError: if it is no folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._file = folder, folder / "judged.json"
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(20, "not a folder", str(folder))
        self._known: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            try:
                self._known = dict(json.loads(self._file.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"{self._file} cannot be read ({error}); delete it, or give another --out"
                ) from error

    def accuracy(
        self, judge: Judge, found: Any, transform: Transform, tests: Tests, seed: int
    ) -> float | None:
        """Return a judgement, made now or before; None where it is not finite."""
        key = fingerprint(judge, found, transform, tests, seed)
        if key not in self._known:
            started = time.monotonic()
            value: float | None
            try:
                value = judge.accuracy(found, transform, tests, seed)
            except FloatingPointError:
                value = None
            taken = round(time.monotonic() - started, 2)
            self._known[key] = {"judge": judge.name, "accuracy": value, "seconds": taken}
            self.write("judged.json", json.dumps(self._known, indent=1) + "\n")
        accuracy: float | None = self._known[key]["accuracy"]
        return accuracy

    def write(self, name: str, text: str) -> None:
        """Write a file, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / name, text.encode())


def _judged(
    config: CompareConfig,
    contenders: list[Contender],
    judges: list[Judge],
    tests: Tests,
    dataset: str,
    kept: _Kept,
) -> Comparison:
    """Return what every judge says of every set."""
    seeds = range(config.judges.seed, config.judges.seed + config.judges.seeds)
    rows = []
    with tqdm(total=len(contenders) * len(judges), disable=None, leave=False) as bar:
        for contender in contenders:
            found: dict[str, Accuracy | None] = {}
            for judge in judges:
                bar.set_description(f"{contender.name} by {judge.name}")
                several = judge.seeded or contender.drawn
                values = [
                    kept.accuracy(judge, contender.draw(seed), contender.transform, tests, seed)
                    for seed in (seeds if several else seeds[:1])
                ]
                finite = [value for value in values if value is not None]
                found[judge.name] = Accuracy.of(finite) if len(finite) == len(values) else None
                bar.update()
            rows.append(Row(contender, found))
    return Comparison(dataset, len(tests.images), [judge.name for judge in judges], rows)


def _contenders(config: CompareConfig) -> tuple[list[Contender], Dataset]:
    """Return the sets that are named, with real ones of the same sizes, and their dataset."""
    asked = SetConfig(dataset=config.data.dataset, transform=None)
    files = [file for name in config.files for file in sets_in(name)]
    loaded = [(file, load_set(file, config.reading.max_bytes)) for file in files]
    dataset = dataset_for(asked, *loaded[0], config.reading)
    found: list[Contender] = []
    spaces: dict[tuple[int, str], Transform] = {}
    names = short_names(files)
    for (file, distilled), name in zip(loaded, names, strict=True):
        check_fits(file, distilled, dataset)
        own = config.data.transform if distilled.transform is None else None
        transform = transform_for(SetConfig(transform=own), file, distilled, dataset)
        found.append(_contender(file, name, distilled, transform))
        spaces.setdefault((len(distilled.images), transform.kind), transform)
    for (size, _), transform in spaces.items():
        if config.data.baseline != ("none",):
            found += [_baseline(kind, dataset, transform, size, len(spaces) > 1)
                      for kind in config.data.baseline]  # fmt: skip
    return found, dataset


def _contender(file: str, name: str, distilled: DistilledSet, transform: Transform) -> Contender:
    path = Path(file).expanduser()
    result = RunFolder(path if path.is_dir() else path.parent).read_result()
    return Contender(
        name,
        len(distilled.images),
        transform,
        lambda seed: (distilled.images, distilled.labels),
        False,
        distilled.images.nbytes,
        None if result is None else float(result["seconds"]),
        file,
        None if distilled.card is None else distilled.card.method,
    )


def _baseline(
    kind: str, dataset: Dataset, transform: Transform, size: int, several: bool
) -> Contender:
    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        at = seed if kind == "random" else 0
        images, classes = baseline_set(kind, dataset, transform, size, seed=at)
        return images, centred_one_hot(classes, dataset.num_classes)

    fixed = None if kind == "random" else draw(0)
    name = f"{_NAMES[kind]}, {size}" + (f", {transform.kind}" if several else "")
    return Contender(
        name,
        size,
        transform,
        draw if fixed is None else lambda seed: fixed,
        kind == "random",
        4 * size * int(np.prod(dataset.image_shape)),
    )


def _judges(config: CompareConfig, dataset: Dataset) -> list[Judge]:
    """Return the networks and kernels; all of them can see the images."""
    asked, found = config.judges, list[Judge]()
    for name, spec in asked.specs().items():
        build_network(spec, dataset.image_shape, dataset.num_classes)  # Raises if it cannot.
        recipe = TrainingRecipe(
            spec.to_dict(),
            learning_rate=asked.learning_rate,
            schedule="step",
            batch_size=_BATCH,
            steps=asked.steps,
            augmentation=plain_augmentation(asked.augment),
            l2=_L2,
        )
        found.append(NetworkJudge(name, recipe))
    computer = LocalComputer(config.compute.backend, config.compute.threads)
    for named in () if asked.kernels == ("none",) else parse_kernels(asked.kernels):
        assert named.family is not None  # `JudgesConfig` sees to it.
        kernel = KernelSpec(build_architecture(named.family, named.depth), named.kind or "ntk")
        kernel.architecture.check_image(*dataset.image_shape[:2])
        found.append(KernelJudge(f"KRR {named.flag}", kernel, computer))
    return found


def _tests(config: CompareConfig, dataset: Dataset) -> Tests:
    x, y, count = dataset.x_test, dataset.y_test, config.data.test_images
    digest = dataset.fingerprint()
    if 0 < count < len(y):
        chosen = np.sort(class_balanced_indices(y, count, rng_for(0, "compare test images")))
        x, y, digest = x[chosen], y[chosen], f"{digest} {count}"
    return Tests(x, y, dataset.num_classes, digest)
