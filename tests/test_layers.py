"""Imports run one way: kernels <- data <- networks <- methods <- workers, server <- launch."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each room stands on. `server` and `workers` do not know of each other: launch wires them.
BELOW = {
    "kernels": set(),
    "data": {"kernels"},
    "networks": {"kernels", "data"},
    "methods": {"kernels", "data", "networks"},
    "workers": {"kernels", "data", "networks", "methods"},
    "server": {"kernels", "data", "networks", "methods"},
    "analysis": {"kernels", "data", "networks", "methods"},
    "launch": {"kernels", "data", "networks", "methods", "workers", "server", "analysis"},
}
ENGINES = {"courier", "grpc", "launchpad", "msgpack", "ray", "reverb"}
# Datasets, runs and their files are numpy's; what holds no JAX is imported in no time.
WITHOUT_JAX = {"data", "server"}
FILES = [
    path.relative_to(ROOT).as_posix() for room in BELOW for path in (ROOT / room).rglob("*.py")
]


def imported_modules(source):
    """Every module that a file names in an import, or in a call of `import_module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "stillhouse":
            yield from (f"stillhouse.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("import_module", "__import__") and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def violations(file, source):
    """What a file of a room imports against the law."""
    room = file.split("/")[0]
    found = []
    for module in imported_modules(source):
        top, _, rest = module.partition(".")
        inner = rest.split(".")[0]
        if top == "":
            found.append(f"{file}: the relative import {module}")
        elif top in BELOW:
            found.append(f"{file}: {module} without its package, stillhouse")
        elif top in ENGINES and room != "launch":
            found.append(f"{file}: {module}, which is for launch/ alone")
        elif top in ("jax", "jaxlib", "optax") and room in WITHOUT_JAX:
            found.append(f"{file}: {module}, where arrays are numpy's")
        elif module == "stillhouse" and room == "launch":
            pass  # Everything is below it.
        elif top == "stillhouse" and inner not in BELOW[room] | {room, "__version__"}:
            found.append(f"{file}: {module}, which is not below it")
    return found


@pytest.mark.parametrize("file", FILES)
def test_imports_run_downwards(file):
    assert violations(file, (ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("data/a.py", "from stillhouse.methods.kernel_regression.kip import kip_step"),
        ("data/a.py", "def f():\n    import stillhouse.methods"),
        ("data/sources/a.py", "from stillhouse import methods"),
        ("kernels/a.py", "from stillhouse import load_dataset"),
        ("kernels/a.py", "import stillhouse"),
        ("kernels/a.py", "from stillhouse.data import Dataset"),
        ("networks/a.py", "from stillhouse.methods.kernel_regression.kip import kip_step"),
        ("workers/a.py", "from stillhouse.server import checkpoints"),
        ("server/a.py", "from stillhouse.workers.local import LocalComputer"),
        ("analysis/a.py", "from stillhouse.launch import main"),
        ("methods/a.py", "import importlib\nimportlib.import_module('stillhouse.server')"),
        ("methods/a.py", "from kernels.spec import KernelSpec"),
        ("methods/a.py", "from .kip import kip_step"),
        ("methods/a.py", "from . import kip"),
        ("server/a.py", "import courier"),
        ("workers/a.py", "import launchpad as lp"),
        ("analysis/a.py", "from ray import remote"),
        ("server/a.py", "import jax.numpy as jnp"),
    ],
)
def test_an_import_against_the_law_is_seen(file, source):
    assert len(violations(file, source)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("kernels/a.py", "from stillhouse.kernels.spec import KernelSpec\nimport jax, math"),
        ("launch/a.py", "import launchpad, stillhouse\nfrom stillhouse.analysis import figures"),
        ("data/a.py", "from stillhouse import __version__"),
    ],
)
def test_an_import_within_the_law_passes(file, source):
    assert violations(file, source) == []


def reach(room):
    """The rooms to which the `deps` of a room's BUILD file lead."""
    (deps,) = re.findall(r"deps = (\[.*?\])", (ROOT / room / "BUILD").read_text(), re.DOTALL)
    direct = {label.removeprefix("//") for label in ast.literal_eval(deps)} - {":package"}
    return direct.union(*map(reach, direct))


@pytest.mark.parametrize("room", BELOW)
def test_under_bazel_a_room_has_what_is_below_it(room):
    assert reach(room) == BELOW[room]


def test_no_room_has_the_name_of_another_module():
    assert not BELOW.keys() & sys.stdlib_module_names
