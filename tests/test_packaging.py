"""What is installed is what stands in the folders, and needs what pyproject.toml says."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import stillhouse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Folders at the root that are not rooms of the package.
OTHERS = {
    "benchmarks",
    "build",
    "dist",
    "docs",
    "examples",
    "runs",
    "scripts",
    "tests",
    "third_party",
}
ROOMS = sorted(
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and not path.name.startswith(".") and path.name not in OTHERS
    if any(path.rglob("*.py"))
)
MODULES = [
    "__init__.py",
    *(file.relative_to(ROOT).as_posix() for room in ROOMS for file in (ROOT / room).rglob("*.py")),
]
# What the modules read beside them.
DATA = [
    "py.typed",
    "analysis/comparison/page.html",
    *(f"analysis/report/{name}" for name in ("head.html", "page.css", "page.html", "parts.html")),
    "analysis/studies/page.html",
    *(
        f"kernels/cuda/source/{name}.cuh"
        for name in ("backward", "device", "duals", "entry", "forward", "memory", "rows")
    ),
]
# Distributions whose module has another name.
MODULE_OF = {
    "absl-py": "absl",
    "cuda-core": "cuda",
    "dm-launchpad": "launchpad",
    "dm-reverb": "reverb",
    "grpcio": "grpc",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


def test_the_package_list_is_that_of_the_folders():
    folders = {Path(module).parent for module in MODULES}
    packages = {".".join(["stillhouse", *folder.parts]) for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages
    assert len(PROJECT["tool"]["setuptools"]["packages"]) == len(packages)


def test_every_package_has_an_init_file():
    folders = {Path(module).parent for module in MODULES}
    assert [str(f) for f in folders if not (ROOT / f / "__init__.py").exists()] == []


def test_only_one_python_file_stands_at_the_root():
    assert [file.name for file in ROOT.glob("*.py")] == ["__init__.py"]


def test_bare_imports_of_rooms_are_banned():
    banned = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert sorted(banned) == ROOMS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built without a network from a copy: setuptools leaves its `build` folder behind."""
    source = tmp_path_factory.mktemp("source") / "stillhouse"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(
            ".*", "__pycache__", "*.egg-info", "build", "dist", "docs", "runs", "third_party"
        ),
    )
    target = tmp_path_factory.mktemp("wheel")
    build = ["-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [sys.executable, *build, "--quiet", f"--wheel-dir={target}", str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_the_modules_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    held = {name for name in names if ".dist-info/" not in name}
    assert held == {f"stillhouse/{file}" for file in (*DATA, *MODULES)}
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_wheel_runs_where_there_is_no_checkout(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    (information,) = tmp_path.glob("*.dist-info")
    assert information.name == f"stillhouse-{stillhouse.__version__}.dist-info"
    (command,) = re.findall(
        r"^stillhouse = (\S+)$", (information / "entry_points.txt").read_text(), re.MULTILINE
    )
    module, _, function = command.partition(":")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import stillhouse, {module} as m;"
        f"print(stillhouse.__file__, m.__file__, callable(m.{function}))"
    )
    # -I: neither the folder it starts in nor PYTHONPATH, so that only the wheel is in front of the
    # environment.
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    package = tmp_path / "stillhouse"
    expected = [str(package / "__init__.py"), str(package / "launch" / "start.py"), "True"]
    assert done.stdout.split() == expected, done.stderr


def imported_packages():
    """The top-level modules from outside the standard library that the package imports."""
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"stillhouse"}


def modules_of(requirements):
    names = [re.match(r"[\w.-]+", requirement)[0] for requirement in requirements]
    return {MODULE_OF.get(name, name.replace("-", "_")) for name in names}


def test_the_package_declares_what_it_imports_and_imports_what_it_declares():
    core = modules_of(PROJECT["project"]["dependencies"])
    extras = PROJECT["project"]["optional-dependencies"]
    optional = modules_of(
        extra for name in ("cuda", "launchpad", "neural-tangents", "ray") for extra in extras[name]
    )
    assert imported_packages() - core - optional == set()
    assert core - imported_packages() == {"jaxlib"}  # which jax imports
