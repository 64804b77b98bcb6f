"""Run a test file by pytest: the program of every Bazel test."""

import os
import sys

import pytest


def main() -> int:
    """Run the file given on the command line, by the rules of pyproject.toml."""
    # The environment has the checkout installed, and would make up for every room that the test's
    # BUILD file does not name.
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if not getattr(finder, "__module__", "").startswith("__editable__")
    ]
    scratch = os.environ["TEST_TMPDIR"]
    os.environ.setdefault("HOME", scratch)
    args = ["-p", "no:cacheprovider", f"--basetemp={scratch}/pytest", *sys.argv[1:]]
    if report := os.environ.get("XML_OUTPUT_FILE"):
        args.append(f"--junit-xml={report}")
    chosen = os.environ.get("TESTBRIDGE_TEST_ONLY")  # bazel test --test_filter=...
    if chosen is None:
        return pytest.main(args)
    code = pytest.main([*args, f"-k={chosen}"])
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code


# Tests start processes, which import this file again.
if __name__ == "__main__":
    sys.exit(main())
