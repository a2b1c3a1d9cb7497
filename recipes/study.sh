#!/usr/bin/env bash
# The study of arXiv 2506.07597: three backbones, every subset of {corpus, instructions in the target language, English
# instructions}, 18 models (recipes/variants.tsv), their evaluation, their arena, and the paper's tables.
#
#     recipes/study.sh                                    the miniature, on a laptop; its tables are printed at the end
#     recipes/study.sh --size mini --seed 2 study2        the same with another seed, in the folder study2
#     recipes/study.sh --size 8b --dry-run                what would be done at full size, and what it would cost
#     recipes/study.sh --only exp_2_111                   what leads to this model
#     recipes/study.sh --stage train                      the jobs of one stage
#     recipes/study.sh --size 8b --submit /work/study     on a Slurm cluster, after recipes/fetch.sh (recipes/cluster.md)
#
# It can be run again at any time: what is complete is not made again, and what was interrupted continues. All that
# differs between sizes stands in recipes/sizes/SIZE.sh.
set -euo pipefail
recipes=$(cd "$(dirname "$0")" && pwd)

# job STAGE MADE needs NEED… -- COMMAND…
# What is made, what that needs, and the command line; a command that is one word is a line of shell.
job() {
    local stage=$1 made=$2 needs=() command
    shift 3
    while [ "$1" != -- ]; do needs+=("$1") && shift; done
    shift
    [ $# -eq 1 ] && command=$1 || printf -v command '%q ' "$@"
    printf '%s\t%s\t%s\t%s\n' "$stage" "$made" "${needs[*]}" "${command//$'\n'/ }"
}

# fetch KIND MADE WORD…: what compute nodes cannot get themselves; study/fetch.py has the kinds.
# shellcheck disable=SC2317 # files of sizes call it
fetch() { job fetch "$2" needs -- python3 "$recipes/study/fetch.py" "$@"; }

# spread STAGE MADE needs NEED… -- COMMAND…: a job; or, where the size has `shards`, a job for each and one that joins
# them. `{}` in names stands for nothing, or for .I: text/en{}.jsonl is text/en.jsonl, or text/en.0.jsonl ….
spread() {
    local stage=$1 made=$2 parts=() part
    shift 2
    if [ "${shards:-1}" -eq 1 ]; then
        job "$stage" "${made/\{\}/}" "${@//\{\}/}"
        return
    fi
    for ((part = 0; part < shards; part++)); do
        job "$stage" "${made/\{\}/.$part}" "${@//\{\}/.$part}" --shard "$part/$shards"
        parts+=("${made/\{\}/.$part}")
    done
    made=${made/\{\}/}
    job "join_$stage" "$made" needs "${parts[@]}" -- "cat ${parts[*]} > $made.part && mv $made.part $made"
}

# train STAGE MADE MODEL DATA WORD…: training; where the size has `preparing`, after a job on CPUs that tokenises and
# packs.
train() {
    local stage=$1 made=$2 model=$3 data=$4 prepared=prepared/${2##*/}
    shift 4
    if [ ${#preparing[@]} -gt 0 ]; then
        job "prepare_$stage" "$prepared" needs "$model" "$data" -- latxa prepare "$data" --model "$model" "${preparing[@]}" \
            -o "$prepared" --resume
        data=$prepared
    fi
    job "$stage" "$made" needs "$model" "$data" -- "${launch[@]}" latxa train "$data" --model "$model" "$@" \
        -o "$made" --resume
}

# evaluate NAME WORD… -- MODEL…: results/NAME.jsonl, of all models in one job; or, where the size says `apart`, of each
# by itself, and joined.
evaluate() {
    local name=$1 words=() model results=() answers=()
    shift
    while [ "$1" != -- ]; do words+=("$1") && shift; done
    shift
    if [ ! "${apart-}" ]; then
        job eval "results/$name.jsonl" needs "$@" -- latxa eval "$@" "${words[@]}" \
            --answers "results/${name}_answers.jsonl" -o "results/$name.jsonl" --resume
        return
    fi
    for model; do
        results+=("results/$name/${model##*/}.jsonl") answers+=("results/$name/${model##*/}_answers.jsonl")
        job eval "${results[-1]}" needs "$model" -- latxa eval "$model" "${words[@]}" \
            --answers "${answers[-1]}" -o "${results[-1]}" --resume
    done
    job join_eval "results/$name.jsonl" needs "${results[@]}" -- "cat ${answers[*]} > results/${name}_answers.jsonl &&
        cat ${results[*]} > results/$name.part && mv results/$name.part results/$name.jsonl"
}

# The lines of recipes/variants.tsv that are not left out: code, backbone, data.
variants() { awk -F '\t' 'NR > 1 && $6 == "-" { print $1 "\t" $2 "\t" $3 }' "$recipes/variants.tsv"; }

# shellcheck disable=SC2154 # the file of the size sets the names that stand for its words
plan() {
    local file
    backbones
    for file in "${own[@]}"; do
        fetch own "$file"
    done

    spread sample "text/en{}.jsonl" needs models/exp_2_000 -- latxa sample --model models/exp_2_000 "${sampling[@]}" \
        --seed "$seed" -o "text/en{}.jsonl" --resume
    [[ ! $(variants) =~ target ]] || spread translate "text/$target{}.jsonl" needs models/exp_1_000 text/en.jsonl -- \
        latxa translate text/en.jsonl --model models/exp_1_000 --from en --to "$target" "${shots[@]}" \
        "${translating[@]}" --seed "$seed" --rejects "text/untranslated{}.jsonl" -o "text/$target{}.jsonl" --resume

    local code backbone data model models=() results=() responses=()
    while IFS=$'\t' read -r code backbone data; do
        local inputs=() needs=()
        for role in $data; do
            case $role in
                corpus) inputs+=(corpus=text/corpus.jsonl) needs+=(text/corpus.jsonl) ;;
                target) inputs+=("$target=text/$target.jsonl") needs+=("text/$target.jsonl") ;;
                english) inputs+=(en=text/en.jsonl) needs+=(text/en.jsonl) ;;
            esac
        done
        case $backbone in
            base) model=models/exp_0_000 ;;
            "adapted base") model=models/exp_1_000 ;;
            instructed) model=models/exp_2_000 ;;
        esac
        if [ ${#inputs[@]} -gt 0 ]; then
            job mix "mixes/$code.jsonl" needs "${needs[@]}" -- latxa mix --variant "$code" "${inputs[@]}" \
                --seed "$seed" -o "mixes/$code.jsonl" --resume
            train train "models/$code" "$model" "mixes/$code.jsonl" "${training[@]}" --seed "$seed"
        fi
        models+=("models/$code")
    done < <(variants)

    if [ "$bases" ]; then
        job merge models/merge needs models/exp_1_000 models/exp_2_000 -- latxa merge models/exp_1_000 \
            --plus models/exp_2_000 --minus models/exp_0_000 -o models/merge --resume
        models+=(models/merge)
        evaluate bases --no-chat "${tasks[@]}" "${asking[@]}" -- models/exp_0_000 models/exp_1_000
        results+=(results/bases.jsonl)
    fi
    evaluate variants --chat "${tasks[@]}" "${asking[@]}" -- "${models[@]}"
    results+=(results/variants.jsonl)

    for model in "${models[@]}"; do
        job respond "responses/${model##*/}.jsonl" needs "$model" -- latxa respond "$prompts" --model "$model" \
            "${answering[@]}" --seed "$seed" -o "responses/${model##*/}.jsonl" --resume
        responses+=("responses/${model##*/}.jsonl")
    done
    job judge battles.jsonl needs "${responses[@]}" -- latxa judge "${responses[@]}" -o battles.jsonl --resume
    job arena ratings.jsonl needs battles.jsonl -- latxa arena-score battles.jsonl --prior 1 -o ratings.jsonl --resume

    job compare comparison.jsonl needs results/variants.jsonl -- latxa compare results/variants_answers.jsonl \
        --baseline exp_2_000 --changed changed.jsonl -o comparison.jsonl --resume
    job report tables.md needs "${results[@]}" ratings.jsonl -- latxa report "${results[@]}" ratings.jsonl \
        "${tables[@]}" "${effects[@]}" --format markdown -o tables.md --resume
    job report report.jsonl needs "${results[@]}" ratings.jsonl battles.jsonl comparison.jsonl -- latxa report \
        "${results[@]}" ratings.jsonl battles.jsonl comparison.jsonl results/variants_answers.jsonl \
        --html report.html -o report.jsonl --resume
    finish
}

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }

# In a function, so that the shell has read this file to its end before it starts: it may be replaced meanwhile.
main() {
    size=mini seed=1 chosen=() facts=() slurm=() limit=inf own=() preparing=() launch=() asking=() bases=yes
    effects=(--table factors --table tradeoff)
    local folder=study limited=yes
    while [ $# -gt 0 ]; do
        case $1 in
            --size | --seed | --only | --stage | --draw)
                [ $# -gt 1 ] || { echo "study: $1 of what?" >&2 && exit 2; }
                ;;&
            --size | --seed) printf -v "${1#--}" %s "$2" && shift 2 ;;
            --only | --stage) chosen+=("$1" "$2") && shift 2 ;;
            --list | --dry-run | --submit | --check) chosen+=("$1") && shift ;;
            --draw) chosen+=(--draw "$(realpath "$2")") && shift 2 ;;
            --yes) limited= && shift ;;
            -h | --help) usage && exit ;;
            -*) usage >&2 && exit 2 ;;
            *) folder=$1 && shift ;;
        esac
    done
    [ "$size" = "${size##*/}" ] || { echo "study: $size is no name" >&2 && exit 2; }
    [ -e "$recipes/sizes/$size.sh" ] || { echo "study: there is no recipes/sizes/$size.sh" >&2 && exit 2; }
    # shellcheck source=recipes/sizes/mini.sh
    . "$recipes/sizes/$size.sh"
    mkdir -p "$folder" && cd "$folder"
    [[ " ${chosen[*]} " =~ \ --(list|dry-run)\  ]] || command -v latxa > /dev/null || {
        "$recipes/install.sh" plots && PATH=$recipes/../.venv/bin:$PATH
    }
    export LATXA=${recipes%/*} # for recipes/slurm
    plan | python3 "$recipes/study/jobs.py" --at-once "${at_once:-1}" "${chosen[@]}" "${facts[@]/#/--fact=}" \
        "${slurm[@]/#/--slurm=}" ${limited:+--limit "$limit"}
    if [ ${#chosen[@]} -eq 0 ]; then
        cat tables.md
        echo "study: $PWD/report.html shows the tables, the figures, and what the models answered" >&2
    fi
}

main "$@"
exit
