"""The Python that Bazel's tests run on: the environment that `make setup` makes."""

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_runtime_pair")

py_runtime(
    name = "runtime",
    interpreter_path = "{python}",
    python_version = "PY3",
    stub_shebang = "#!{python}",
)

py_runtime_pair(
    name = "runtimes",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtimes",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _python_repository_impl(ctx):
    root = ctx.path(Label("//:WORKSPACE")).dirname
    python = ctx.os.environ.get("STILLHOUSE_PYTHON") or str(root) + "/.venv/bin/python"
    if not ctx.path(python).exists:
        fail("no Python at %s: run `make setup`, or set STILLHOUSE_PYTHON" % python)
    ctx.file("BUILD", _BUILD.format(python = python))

python_repository = repository_rule(
    doc = "A toolchain with the Python of .venv, or the one that STILLHOUSE_PYTHON names.",
    implementation = _python_repository_impl,
    environ = ["STILLHOUSE_PYTHON"],
    local = True,
)
