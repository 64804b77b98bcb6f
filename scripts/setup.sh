#!/usr/bin/env bash
# Make a virtual environment with Stillhouse and its tools, unless it is there; print its folder.
#
#   scripts/setup.sh            in .venv, with the first suitable Python of this machine
#   scripts/setup.sh python3.11 with this Python, in .venv-3.11 if .venv is for another version
#
# The stamp in the environment says what it was made for. It is "unfinished" while pip runs, so that
# an interrupted installation is started afresh, and so is a copy of an environment that was made
# for another folder: its package would still be the one over there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

python=$(scripts/find_python.sh "${1:-}")
version=$(version_of "$python")
venv=.venv
if [ -n "${1:-}" ] && [ "$(version_of "$(scripts/find_python.sh)")" != "$version" ]; then
  venv=.venv-$version
fi

case $version in
  3.10) extras=launchpad,neural-tangents,test,dev ;;
  *) extras=cuda,ray,test,dev ;; # Launchpad and the neural-tangents that works beside it end at 3.10.
esac

stamp=$venv/stillhouse-setup
made_for="$PWD, $("$python" --version) from $python"
installed="$extras, pyproject.toml $(cksum <pyproject.toml)"

usable=yes stamped_for="" stamped_installed=""
[ "$(version_of "$venv/bin/python" || true)" = "$version" ] || usable=no
if [ -e "$stamp" ]; then
  { read -r stamped_for && read -r stamped_installed; } <"$stamp" || true
  [ "$stamped_for" = "$made_for" ] && [ "$stamped_installed" != unfinished ] || usable=no
  if [ $usable = yes ] && [ "$stamped_installed" = "$installed" ]; then
    printf '%s\n' "$PWD/$venv"
    exit
  fi
fi

echo "Setting up $venv with Python $version (the first time takes one to three minutes) ..." >&2
[ $usable = yes ] || rm -rf "$venv"
mkdir -p "$venv"
printf '%s\n' "$made_for" unfinished >"$stamp"
[ $usable = yes ] || "$python" -m venv "$venv" >&2
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --editable ".[$extras]" >&2
# The type checker finds the package by this name; see `lint` in the Makefile.
mkdir -p "$venv/typecheck"
ln -sfn "$PWD" "$venv/typecheck/stillhouse"
printf '%s\n' "$made_for" "$installed" >"$stamp.new"
mv "$stamp.new" "$stamp"
printf '%s\n' "$PWD/$venv"
