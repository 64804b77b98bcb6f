#!/usr/bin/env bash
# Print the path of a Python that can run Stillhouse, or say what to install.
#
#   scripts/find_python.sh              the first of 3.10, 3.11, 3.12 and 3.13 on this machine
#   scripts/find_python.sh python3.11   this one: a version, a name on PATH, or a path
#
# A name on PATH proves nothing: pyenv leaves a shim for every version it has, and the shims of
# versions that .python-version does not select only print an error. So every candidate is run, and
# answers with the interpreter behind shims and virtual environments.
set -eu  # No pipefail: the first answer closes the pipe on the candidates after it.

versions="3.10 3.11 3.12 3.13"
wanted=${1:-}

probe='
import os, sys
import ensurepip, venv  # Debian ships a Python without them
version = "%d.%d" % sys.version_info[:2]
path = os.path.join(sys.base_prefix, "bin", "python" + version)
print(version, path if os.path.exists(path) else sys.executable)
'

# Every interpreter that may be Python $1.
candidates() {
  type -ap "python$1" || true
  local path
  for path in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python \
    "$HOME/.local/share/uv/python/cpython-$1".*/bin/python; do
    [ ! -x "$path" ] || printf '%s\n' "$path"
  done
}

# Print the interpreter behind the first of the candidates on stdin that runs and is Python $1, or
# any supported Python where $1 is empty; fail if there is none.
first_that_runs() {
  local candidate answer
  while IFS= read -r candidate; do
    answer=$("$candidate" -c "$probe" 2>/dev/null </dev/null) || continue
    case " ${1:-$versions} " in
      *" ${answer%% *} "*) printf '%s\n' "${answer#* }" && return ;;
    esac
  done
  return 1
}

case $wanted in
  "")
    for version in $versions; do
      candidates "$version" | first_that_runs "$version" && exit
    done
    { type -ap python3 || true; } | first_that_runs "" && exit
    echo "No Python 3.10 to 3.13 with its venv module was found." >&2
    ;;
  */*)
    echo "$wanted" | first_that_runs "" && exit
    echo "PYTHON=$wanted is not a Python 3.10 to 3.13 with its venv module." >&2
    ;;
  *)
    version=${wanted#python}
    case " $versions " in
      *" $version "*) candidates "$version" | first_that_runs "$version" && exit ;;
      *) { type -ap "$wanted" || true; } | first_that_runs "" && exit ;;
    esac
    echo "PYTHON=$wanted: no Python 3.10 to 3.13 of this name, with its venv module, was found." >&2
    ;;
esac

cat >&2 <<'END'
Install one, for instance:
  Debian, Ubuntu   apt-get install python3 python3-venv
  macOS            brew install python@3.11
  pyenv            pyenv install 3.10
Python 3.10 is the best choice: the cluster engine, Launchpad, runs on no later one.
END
exit 1
