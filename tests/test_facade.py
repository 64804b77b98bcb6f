import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stillhouse

ROOT = Path(__file__).resolve().parents[1]


def test_the_package_is_this_checkout():
    assert Path(stillhouse.__file__).resolve().parent == ROOT


def test_importing_the_package_imports_no_jax():
    program = "import stillhouse, sys; print(*sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "stillhouse" in modules
    assert not {"jax", "numpy", "stillhouse.kernels"} & set(modules)


@pytest.mark.parametrize("name", stillhouse.__all__)
def test_every_public_name_is_that_of_its_room(name):
    value = getattr(stillhouse, name)
    assert value.__module__.startswith("stillhouse.")
    assert value.__name__ == name
    assert name in dir(stillhouse)


def test_type_checkers_see_the_same_names():
    (guarded,) = (
        node
        for node in ast.parse((ROOT / "__init__.py").read_text()).body
        if isinstance(node, ast.If)
    )
    seen = [
        (node.module.removeprefix("stillhouse."), name.name, name.asname)
        for node in guarded.body
        for name in node.names
    ]
    homes = stillhouse._HOMES
    assert seen == [(home, name, name) for home in homes for name in homes[home]]


def test_rooms_are_attributes():
    program = "import stillhouse; print(stillhouse.kernels.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "stillhouse.kernels\n", done.stderr


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'kernelz'"):
        stillhouse.kernelz  # noqa: B018
    with pytest.raises(ImportError):
        from stillhouse import kernelz  # noqa: F401
