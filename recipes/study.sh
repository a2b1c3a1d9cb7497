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
# shellcheck source=recipes/study/jobs.sh
. "$recipes/study/jobs.sh"

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

show() {
    cat tables.md
    say "$PWD/report.html shows the tables, the figures, and what the models answered"
}

sizes=$recipes/sizes effects=(--table factors --table tradeoff) bases=yes
recipe "$@"; exit
