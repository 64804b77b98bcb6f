"""The studies by name: what each asks for. Its code is the module of its name beside this one.

Such a module has

    compute(materials: Materials) -> Table    what is measured, by tasks of `materials.runner`
    present(table: Table) -> Section          what the page says of it
    Table                                     a frozen dataclass that `data.records` writes as JSON

Nothing here imports JAX, so that settings can be checked at once.
"""

import dataclasses
import importlib
from typing import Any


@dataclasses.dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: what `--only` calls it, and its module.
        title: above its part of the page.
        sizes: the fields of `StudySizes` that decide its table.
        sets: how many sets it takes at least.
        pool: whether it asks networks of a pool.
        trajectories: whether it asks for weights along their training.
    """

    name: str
    title: str
    sizes: tuple[str, ...] = ()
    sets: int = 1
    pool: bool = True
    trajectories: bool = False

    @property
    def module(self) -> Any:
        """Its code."""
        return importlib.import_module(f"stillhouse.analysis.studies.{self.name}")


_TRAINING = ("networks", "steps", "batch_size", "learning_rate", "test_images")
_LEAVING_OUT = ("steps", "learning_rate", "test_images")

STUDIES = {
    study.name: study
    for study in (
        Study("recognition", "Recognition by networks trained on real images", ("test_images",)),
        Study("pixels", "Pixels", pool=False),
        Study("mixing", "Real images mixed in", (*_TRAINING, "real")),
        Study(
            "agreement",
            "Agreement with networks trained on real images",
            (*_TRAINING, "subsets", "snapshots"),
            sets=2,
            trajectories=True,
        ),
        Study(
            "along",
            "Along training",
            ("test_images", "iterations", "snapshots"),
            trajectories=True,
        ),
        Study(
            "curvature",
            "Curvature",
            ("iterations", "probes", "curvature_points", "curvature_images", "top_eigenvalue"),
            trajectories=True,
        ),
        Study("influence", "Influence of single images", (*_LEAVING_OUT, "influence_functions")),
        Study("semantics", "What single images influence", _LEAVING_OUT),
        Study("map", "Map", ("test_images",)),
        Study("dimension", "Intrinsic dimension", pool=False),
        Study("spectrum", "Spectrum of the kernel", ("test_images", "kernel"), pool=False),
    )
}
