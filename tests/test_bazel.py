"""Bazel sees what stands in the folders."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = set((ROOT / "tests").rglob("test_*.py"))


def named_tests(folder):
    """The files that the BUILD file of a folder, which reads as Python, names as tests."""
    for node in ast.walk(ast.parse((folder / "BUILD").read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest_test":
            (name,) = (k.value.value for k in node.keywords if k.arg == "name")
            yield folder / f"{name}.py"


def test_every_test_file_is_a_bazel_test():
    builds = (ROOT / "tests").rglob("BUILD")
    assert {file for build in builds for file in named_tests(build.parent)} == TESTS


def test_bazel_leaves_the_environments_alone():
    ignored = (ROOT / ".bazelignore").read_text().split()
    assert {path.name for path in ROOT.glob(".venv*")} <= set(ignored)
