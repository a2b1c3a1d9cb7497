#!/usr/bin/env bash
# Lint, types and tests, in .venv, which is made where there is none.
#
#     recipes/test.sh [PYTEST ARGUMENT ...]       such as: recipes/test.sh tests/corpus
set -euo pipefail
cd "$(dirname "$0")/.."
recipes/install.sh dev
bin=${VENV:-$PWD/.venv}/bin
"$bin/ruff" check
"$bin/ruff" format --check
"$bin/mypy"
"$bin/python" -m compileall -q latxa_cli # else each process compiles it anew where Python is told to write no bytecode
# A module's tests share what takes long to make, so that they stay together; `tests/conftest.py` says which come first.
# One process more than there are cores, since tests wait: for kills, for servers, for each other.
cores=$(getconf _NPROCESSORS_ONLN)
"$bin/pytest" --numprocesses $((cores < 3 ? cores + 1 : 4)) --dist loadscope --no-loadscope-reorder "$@"
