#!/usr/bin/env bash
# Adapt a small instruct model to a language, on one GPU or, slowly, on a CPU: LoRA on text of the language, with chats
# of the model's own (Magpie) beside it, so that it does not forget how to answer. Then what it has learnt and kept.
#
#     recipes/laptop.sh [FLAG …] MODEL LANGUAGE FILE …
#
#     MODEL     an instruct model with a chat template: a directory, or a name on the hub
#     LANGUAGE  of the texts, as a code (`eu`, `cy`)
#     FILE      documents {text, …} in it, as for `latxa corpus`; some hundred at least
#
#     --chats NAME=FILE  conversations to train on, in place of the model's own; repeat it
#     --keep NAME=FILE   documents of another language, to see what is kept of it; repeat it
#     --draws N          chats that the model writes [2000]
#     --tokens N         tokens of the documents that are trained on [5000000]
#     --epochs X         how often [2, by recipes/train/laptop.toml]
#     --held-out N       documents, and chats, that are not trained on, but measured [50]
#     --config FILE      settings of the training [recipes/train/laptop.toml]
#     --into DIR         where all is written [laptop]
#     --dry-run          what it will cost, and nothing more
#     --yes              begin at once, without an estimate; needed for what takes more than two hours
#
# It can be run again at any time: what is complete is not made again, and what was interrupted continues.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }
case ${1-} in -h | --help) usage && exit ;; esac
recipes=$(cd "$(dirname "$0")" && pwd)

step() { printf '\n== %s\n' "$*" >&2; }
stop() { printf 'laptop: %s\n' "$@" >&2 && exit 2; }
misused() { usage >&2 && exit 2; }
here() { if [ -e "$1" ]; then realpath "$1"; else printf '%s\n' "$1"; fi; } # a name on the hub is no path
named() { [[ $1 == ?*=?* ]] || stop "\`$1\` is not NAME=FILE"; printf '%s\n' "${1%%=*}=$(here "${1#*=}")"; }

clean() {
    step "The texts: duplicates, other languages and scraps go, each with its reason"
    latxa corpus "${files[@]}" --language "$language" --skip split --rejects text/rejects.jsonl \
        -o text/corpus.jsonl --resume
}

# Draw the documents to train on and those held out, into the folder $1.
draw() {
    latxa mix "$language=text/corpus.jsonl" --hold-out "$language=$held_out" --hold-out-file "$1/held_out.jsonl" \
        --take-tokens "$tokens" --tokenizer "$model" -o "$1/documents.jsonl" --resume
}

dry_runs() {
    draw "$trial" && latxa train "$trial/documents.jsonl" "${chats[@]#*=}" "${training[@]}" --dry-run -o "$trial/model" &&
        { [ ${#chats[@]} -gt 0 ] || latxa sample "${drawing[@]}" --dry-run; }
}

# What it will cost, in the words of the verbs. It leaves nothing, so that other numbers can be tried.
estimate() {
    step "What it will cost"
    trial=$(mktemp -d)
    trap 'rm -rf "$trial"' EXIT
    dry_runs 2> "$trial/said" || { cat "$trial/said" >&2 && exit 1; }
    grep -E '^latxa (mix: `--take|mix: [^ ]+:|(train|sample): ([0-9,]+ steps|memory|time|GPU-hours|dry run|all ))' \
        "$trial/said" >&2
    minutes=$(awk '{ gsub(",", "") } / time: / { sum += $4 / 60 } / at most / { sum += $9 } END { print int(sum) }' \
        "$trial/said")
    [ "$minutes" -le "$limit" ] || [ -n "$dry_run" ] ||
        stop "this takes some $minutes minutes: \`--yes\` does it, and a smaller \`--tokens\` or \`--draws\` makes it shorter"
}

write_chats() {
    step "Chats: the model writes questions and answers of its own"
    latxa sample "${drawing[@]}" -o text/chats.jsonl --resume
    chats=(chats=text/chats.jsonl)
}

adapt() {
    step "One run of training on documents and chats; $held_out of each are held out"
    local held_back=()
    for pair in "${chats[@]}"; do held_back+=(--hold-out "${pair%%=*}=$held_out"); done
    latxa mix "documents=text/documents.jsonl" "${chats[@]}" "${held_back[@]}" \
        --hold-out-file text/held_out_chats.jsonl -o text/mix.jsonl --resume
    latxa train text/mix.jsonl "${training[@]}" -o "$adapted" --resume
}

measure() {
    step "What it has learnt and kept: text that neither model was trained on"
    latxa eval "$model" "$adapted" --perplexity "$language=text/held_out.jsonl" \
        --perplexity chats=text/held_out_chats.jsonl "${keep[@]/#/--perplexity=}" \
        --answers results/answers.jsonl -o results/results.jsonl --resume
    latxa compare results/answers.jsonl --baseline "${model##*/}" -o results/comparison.jsonl --resume
    latxa report results/results.jsonl --format table
    latxa compare results/answers.jsonl --baseline "${model##*/}" --format table
    printf '\nThe model is %s. It answers: latxa respond --model %s questions.txt\n' "$PWD/$adapted" "$PWD/$adapted" >&2
}

# In a function, so that the shell has read this file to its end before it starts: it may be replaced meanwhile.
main() {
    chats=() keep=() draws=2000 tokens=5000000 held_out=50 config=$recipes/train/laptop.toml yes='' dry_run='' limit=120
    local into=laptop epochs='' pair
    while [[ ${1:-} == -* ]]; do
        case $1 in
            --yes) yes=yes && shift && continue ;;
            --dry-run) dry_run=yes && shift && continue ;;
        esac
        [ $# -gt 1 ] || misused
        case $1 in
            --chats | --keep)
                pair=$(named "$2") # of its own, so that an error ends the script
                if [ "$1" = --chats ]; then chats+=("$pair"); else keep+=("$pair"); fi
                ;;
            --config) config=$(here "$2") ;;
            --into) into=$2 ;;
            --draws) draws=$2 ;;
            --tokens) tokens=$2 ;;
            --epochs) epochs=$2 ;;
            --held-out) held_out=$2 ;;
            *) misused ;;
        esac
        shift 2
    done
    [ $# -ge 3 ] || misused
    model=$(here "$1") language=$2 files=()
    for file in "${@:3}"; do files+=("$(here "$file")"); done

    command -v latxa > /dev/null || { "$recipes/install.sh" lora && PATH=$recipes/../.venv/bin:$PATH; }
    mkdir -p "$into" && cd "$into" && mkdir -p text models results
    adapted=models/${model##*/}-$language
    drawing=(--model "$model" -n "$draws" --max-tokens 256 --answer-max-tokens 512)
    training=(--model "$model" --config "$config" ${epochs:+--epochs "$epochs"})
    ! nvidia-smi -L > /dev/null 2>&1 || training+=(--dtype bfloat16)

    clean
    if [ -n "$dry_run" ]; then estimate; exit 0; fi
    [ -n "$yes" ] || [ -e text/documents.jsonl ] || estimate # what has begun was estimated before
    draw text
    [ ${#chats[@]} -gt 0 ] || write_chats
    adapt
    measure
}

main "$@"
exit
