"""A test file as a Bazel test."""

load("@rules_python//python:defs.bzl", "py_test")

def pytest_test(name, deps, data = []):
    """Run the file `name`.py of this folder or one below it by pytest.

    Args:
        name: the file, without its ending.
        deps: the rooms it may import.
        data: files it reads.
    """
    file = name + ".py"
    py_test(
        name = name,
        srcs = ["//tests:run_pytest.py", file] + native.glob(["**/conftest.py"]),
        args = ["$(location %s)" % file],
        data = ["//:pyproject.toml"] + data,
        main = "//tests:run_pytest.py",
        # Compiling kernels takes minutes on a busy machine.
        timeout = "long",
        deps = deps,
    )
