#!/usr/bin/env bash
# Fetch what a study needs of the internet: models, data, benchmarks. On the login node of a cluster, before any time in a
# queue is spent, since compute nodes see no internet.
#
#     recipes/fetch.sh --size 8b /work/study            download what is missing; what broke off is continued
#     recipes/fetch.sh --size 8b --check /work/study    download nothing; a line for all that is missing, and exit code 1
#
# The size names what is fetched (recipes/sizes). Benchmarks go to the hub's cache: HF_HOME, on a disk that all nodes see.
set -euo pipefail
case ${1-} in -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit ;; esac
study=$(cd "$(dirname "$0")" && pwd)/study.sh

[[ " $* " =~ \ --check\  ]] || "$study" --yes --stage fetch "$@" || :
exec "$study" --stage fetch --check "${@/--check/--yes}"
