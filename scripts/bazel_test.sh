#!/usr/bin/env bash
# Run the tests by Bazel, offline. Installs nothing: says what is missing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=0
if ! command -v bazel >/dev/null; then
  echo "Bazel is not installed. On Debian: apt-get install bazel-bootstrap" >&2
  missing=1
fi
python=${STILLHOUSE_PYTHON:-$PWD/.venv/bin/python}
if ! "$python" -c 'import jax, pytest' 2>/dev/null; then
  echo "$python has no jax or no pytest. Run \`make setup\`, or point STILLHOUSE_PYTHON at a" \
    "Python that has what pyproject.toml names." >&2
  missing=1
fi
[ $missing = 0 ] || exit 1
exec bazel test //... "$@"
