#!/usr/bin/env bash
# The study of arXiv 2506.07597: three backbones, every subset of {corpus, instructions in the target language, English
# instructions}, 18 models (recipes/variants.tsv), their evaluation, their arena, and the paper's tables.
#
#     recipes/study.sh                                    the miniature, on a laptop; its tables are printed at the end
#     recipes/study.sh --size mini --seed 2 study2        the same with another seed, in the folder study2
#     recipes/study.sh --size 8b --dry-run                what would be done at full size, and what it would cost
#     recipes/study.sh --only exp_2_111                   what leads to this model
#     recipes/study.sh --stage train                      the jobs of one stage
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
    printf '%s\t%s\t%s\t%s\n' "$stage" "$made" "${needs[*]}" "$command"
}

# The lines of recipes/variants.tsv that are not left out: code, backbone, data.
variants() { awk -F '\t' 'NR > 1 && $6 == "-" { print $1 "\t" $2 "\t" $3 }' "$recipes/variants.tsv"; }

# shellcheck disable=SC2154 # the file of the size sets the names that stand for its words
plan() {
    backbones

    job sample text/en.jsonl needs models/exp_2_000 -- latxa sample --model models/exp_2_000 "${sampling[@]}" \
        --seed "$seed" -o text/en.jsonl --resume
    job translate "text/$target.jsonl" needs models/exp_1_000 text/en.jsonl -- latxa translate text/en.jsonl \
        --model models/exp_1_000 --from en --to "$target" "${shots[@]}" "${translating[@]}" --seed "$seed" \
        --rejects text/untranslated.jsonl -o "text/$target.jsonl" --resume

    local code backbone data model models=() responses=()
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
            job train "models/$code" needs "$model" "mixes/$code.jsonl" -- latxa train "mixes/$code.jsonl" \
                --model "$model" "${training[@]}" --seed "$seed" -o "models/$code" --resume
        fi
        models+=("models/$code")
    done < <(variants)

    job merge models/merge needs models/exp_1_000 models/exp_2_000 -- latxa merge models/exp_1_000 \
        --plus models/exp_2_000 --minus models/exp_0_000 -o models/merge --resume
    models+=(models/merge)

    job eval results/bases.jsonl needs models/exp_0_000 models/exp_1_000 -- latxa eval models/exp_0_000 \
        models/exp_1_000 --no-chat "${tasks[@]}" --answers results/bases_answers.jsonl -o results/bases.jsonl --resume
    job eval results/variants.jsonl needs "${models[@]}" -- latxa eval "${models[@]}" --chat \
        "${tasks[@]}" --answers results/variants_answers.jsonl -o results/variants.jsonl --resume

    for model in "${models[@]}"; do
        job respond "responses/${model##*/}.jsonl" needs "$model" -- latxa respond "$prompts" --model "$model" \
            "${answering[@]}" --seed "$seed" -o "responses/${model##*/}.jsonl" --resume
        responses+=("responses/${model##*/}.jsonl")
    done
    job judge battles.jsonl needs "${responses[@]}" -- latxa judge "${responses[@]}" -o battles.jsonl --resume
    job arena ratings.jsonl needs battles.jsonl -- latxa arena-score battles.jsonl --prior 1 -o ratings.jsonl --resume

    local results=(results/bases.jsonl results/variants.jsonl)
    job compare comparison.jsonl needs results/variants.jsonl -- latxa compare results/variants_answers.jsonl \
        --baseline exp_2_000 --changed changed.jsonl -o comparison.jsonl --resume
    job report tables.md needs "${results[@]}" ratings.jsonl -- latxa report "${results[@]}" ratings.jsonl \
        "${tables[@]}" --table factors --table tradeoff --format markdown -o tables.md --resume
    job report report.jsonl needs "${results[@]}" ratings.jsonl battles.jsonl comparison.jsonl -- latxa report \
        "${results[@]}" ratings.jsonl battles.jsonl comparison.jsonl results/variants_answers.jsonl \
        --html report.html -o report.jsonl --resume
    finish
}

# In a function, so that the shell has read this file to its end before it starts: it may be replaced meanwhile.
main() {
    size=mini seed=1 chosen=() facts=() limit=inf
    local folder=study limited=yes
    while [ $# -gt 0 ]; do
        case $1 in
            --size | --seed) printf -v "${1#--}" %s "$2" && shift 2 ;;
            --only | --stage) chosen+=("$1" "$2") && shift 2 ;;
            --list | --dry-run) chosen+=("$1") && shift ;;
            --draw) chosen+=(--draw "$(realpath "$2")") && shift 2 ;;
            --yes) limited= && shift ;;
            -*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
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
    plan | python3 "$recipes/study/jobs.py" --at-once "${at_once:-1}" "${chosen[@]}" "${facts[@]/#/--fact=}" \
        ${limited:+--limit "$limit"}
    if [ ${#chosen[@]} -eq 0 ]; then
        cat tables.md
        echo "study: $PWD/report.html shows the tables, the figures, and what the models answered" >&2
    fi
}

main "$@"
exit
