#!/usr/bin/env bash
# X-Instruction (arXiv 2405.19744): a model writes the instructions that native texts answer, judges the pairs, learns
# from those that it keeps, and judges again. Then a varied choice of them trains a model of the languages.
#
#     recipes/x-instruction.sh                           the miniature, on a laptop
#     recipes/x-instruction.sh --seed 2 x-instruction2   the same with another seed, in another folder
#     recipes/x-instruction.sh --iterations 3            three rounds of judging and learning
#     recipes/x-instruction.sh --size 13b --dry-run      what would be done for ten languages, and what it would cost
#     recipes/x-instruction.sh --stage judge             the jobs of one stage; --list shows all command lines
#
# It can be run again at any time: what is complete is not made again, and what was interrupted continues. In the folder
# of a miniature study (recipes/study.sh) its backbones are found. All that differs between sizes stands in
# recipes/x-instruction/SIZE.sh. recipes/x-instruction.md explains what comes out.
set -euo pipefail
recipes=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=recipes/study/jobs.sh
. "$recipes/study/jobs.sh"

lessons=$recipes/x-instruction/lessons.py

# shellcheck disable=SC2154 # the file of the size sets the names that stand for its words
plan() {
    local language code name round seeds=() natives=() named=() model models=(generated refined diversified) responses=()
    texts # what the size brings: $base, $prompts, and of each language data/{seed,texts,others}.CODE.jsonl
    for language in "${languages[@]}"; do
        read -r code name <<< "$language"
        seeds+=("data/seed.$code.jsonl") natives+=("data/others.$code.jsonl") named+=("$name=data/seed.$code.jsonl")
    done

    # I. Generation: a model that has learnt from seed pairs writes the instruction that a native text answers.
    job lessons lessons/reverse.jsonl needs "${seeds[@]}" -- \
        "python3 ${lessons@Q} reverse ${named[*]@Q} > lessons/reverse.part &&
        mv lessons/reverse.part lessons/reverse.jsonl"
    train train models/reverse "$base" lessons/reverse.jsonl "${reversing[@]}" --seed "$seed"
    for language in "${languages[@]}"; do
        read -r code name <<< "$language"
        spread write "pairs/generated.$code{}.jsonl" needs models/reverse "data/texts.$code.jsonl" -- latxa reverse \
            "data/texts.$code.jsonl" --model models/reverse --from "$name" "${writing[@]}" --seed "$seed" \
            --rejects "pairs/rejects.$code{}.jsonl" -o "pairs/generated.$code{}.jsonl" --resume
    done

    # II. Refinement: the model judges the pairs. What it keeps is among the lessons of the model that judges next.
    for ((round = 1; round <= iterations; round++)); do
        local good=("${seeds[@]}")
        for language in "${languages[@]}"; do
            [ "$round" -eq 1 ] || good+=("pairs/kept$((round - 1)).${language%% *}.jsonl")
        done
        job lessons "lessons/judge$round.jsonl" needs "${good[@]}" "${natives[@]}" -- \
            "python3 ${lessons@Q} judge --rubric ${rubric@Q} --seed $seed ${natives[*]/#/--texts } ${good[*]} \
            > lessons/judge$round.part && mv lessons/judge$round.part lessons/judge$round.jsonl"
        train train "models/judge$round" "$base" "lessons/judge$round.jsonl" "${judging[@]}" --seed "$seed"
        for language in "${languages[@]}"; do
            read -r code name <<< "$language"
            spread curate "scores/$round.$code{}.jsonl" needs "models/judge$round" "pairs/generated.$code.jsonl" -- \
                latxa judge "pairs/generated.$code.jsonl" --rubric "$rubric" --judge "models/judge$round" "${curating[@]}" \
                --rejects "scores/rejects$round.$code{}.jsonl" -o "scores/$round.$code{}.jsonl" --resume
            job keep "pairs/kept$round.$code.jsonl" needs "pairs/generated.$code.jsonl" "scores/$round.$code.jsonl" -- \
                latxa mix "$code=pairs/generated.$code.jsonl" --minimum "$code=$lowest" --scores "scores/$round.$code.jsonl" \
                --seed "$seed" -o "pairs/kept$round.$code.jsonl" --resume
        done
    done

    # III. Diversification: equally many pairs from each cluster of instructions. Beside it as many pairs at random, of
    # those that were kept, and of all, so that it shows what each step gives.
    local all=() kept=() generated=() refined=() diversified=() answers=()
    for language in "${languages[@]}"; do
        read -r code name <<< "$language"
        all+=("pairs/generated.$code.jsonl") kept+=("pairs/kept$iterations.$code.jsonl") answers+=(--answer-in "$code=$name")
        generated+=("$code=pairs/generated.$code.jsonl" --take-from "$code=$pairs")
        refined+=("$code=pairs/kept$iterations.$code.jsonl" --take-from "$code=$pairs")
        diversified+=("$code=pairs/kept$iterations.$code.jsonl" --diversify "$code=$pairs")
    done
    job mix mixes/generated.jsonl needs "${all[@]}" -- latxa mix "${generated[@]}" "${answers[@]}" --seed "$seed" \
        -o mixes/generated.jsonl --resume
    job mix mixes/refined.jsonl needs "${kept[@]}" -- latxa mix "${refined[@]}" "${answers[@]}" --seed "$seed" \
        -o mixes/refined.jsonl --resume
    job mix mixes/diversified.jsonl needs "${kept[@]}" "$embedder" -- latxa mix "${diversified[@]}" --embedder "$embedder" \
        "${clustering[@]}" "${answers[@]}" --seed "$seed" -o mixes/diversified.jsonl --resume

    # The models, and how they answer.
    for model in "${models[@]}"; do
        train train "models/$model" "$base" "mixes/$model.jsonl" "${training[@]}" --seed "$seed"
    done
    for model in "${models[@]}"; do
        job respond "responses/$model.jsonl" needs "models/$model" "$prompts" -- latxa respond "$prompts" \
            --model "models/$model" "${answering[@]}" --seed "$seed" -o "responses/$model.jsonl" --resume
        responses+=("responses/$model.jsonl")
    done
    job battles battles.jsonl needs "${responses[@]}" -- latxa judge "${responses[@]}" "${comparing[@]}" \
        -o battles.jsonl --resume
    job arena ratings.jsonl needs battles.jsonl -- latxa arena-score battles.jsonl --prior 1 -o ratings.jsonl --resume
    evaluate tasks --chat "${tasks[@]}" "${asking[@]}" -- "${models[@]/#/models/}"
    job report tables.md needs results/tasks.jsonl ratings.jsonl -- latxa report results/tasks.jsonl ratings.jsonl \
        --format markdown -o tables.md --resume
    finish
}

show() {
    cat tables.md
    [ ! -e found.txt ] || cat found.txt
}

sizes=$recipes/x-instruction settings=(iterations)
recipe "$@"; exit
