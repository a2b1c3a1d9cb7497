#!/usr/bin/env bash
# LLaMA Beyond English (arXiv 2401.01055): how much text of a language and how many instructions an English model needs,
# whether more tokens help, and what is left of its English.
#
#     recipes/beyond-english.sh                            the miniature, on a laptop
#     recipes/beyond-english.sh --seed 2 beyond-english2   the same with another seed, in another folder
#     recipes/beyond-english.sh --size 7b --dry-run        what would be done at the size of the paper, and its cost
#     recipes/beyond-english.sh --stage pretrain           the jobs of one stage; --list shows all command lines
#
# It can be run again at any time: what is complete is not made again, and what was interrupted continues. In the folder
# of a miniature study (recipes/study.sh) its backbones are found. All that differs between sizes stands in
# recipes/beyond-english/SIZE.sh. recipes/beyond-english.md explains what comes out.
set -euo pipefail
recipes=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=recipes/study/jobs.sh
. "$recipes/study/jobs.sh"

# shellcheck disable=SC2154 # the file of the size sets the names that stand for its words
plan() {
    local documents count name pretrained=() responses=()
    texts # what the size brings: $base, text/corpus.jsonl, data/instructions.jsonl, $prompts, data/predicted.*.jsonl

    # Pretraining: no text, and ever more of it. What is trained on less is part of what is trained on more.
    job link models/text0 needs "$base" -- "cp -rl $base models/text0.part && mv models/text0.part models/text0"
    pretrained+=(models/text0)
    for documents in "${scales[@]}"; do
        job mix "text/documents$documents.jsonl" needs text/corpus.jsonl -- latxa mix "$target=text/corpus.jsonl" \
            --take-from "$target=$documents" --seed "$seed" -o "text/documents$documents.jsonl" --resume
        train pretrain "models/text$documents" "$base" "text/documents$documents.jsonl" "${pretraining[@]}" --seed "$seed"
        pretrained+=("models/text$documents")
    done
    # The same text after more tokens of the language, and the same text beside English.
    job extend models/more_tokens needs "$base" text/corpus.jsonl -- latxa extend "$base" text/corpus.jsonl \
        --tokens "$tokens" --new-embeddings "$new_embeddings" --seed "$seed" -o models/more_tokens --resume
    for documents in "${extended[@]}"; do
        train pretrain "models/extended$documents" models/more_tokens "text/documents$documents.jsonl" \
            "${pretraining[@]}" --seed "$seed"
        pretrained+=("models/extended$documents")
    done
    for documents in "${joint[@]}"; do
        job mix "text/joint$documents.jsonl" needs text/corpus.jsonl data/english.jsonl -- latxa mix \
            "$target=text/corpus.jsonl" --take-from "$target=$documents" en=data/english.jsonl \
            --take-from "en=$english" --seed "$seed" -o "text/joint$documents.jsonl" --resume
        train pretrain "models/joint$documents" "$base" "text/joint$documents.jsonl" "${pretraining[@]}" --seed "$seed"
        pretrained+=("models/joint$documents")
    done
    evaluate perplexity --perplexity "$target=data/predicted.$target.jsonl" \
        --perplexity en=data/predicted.en.jsonl "${asking[@]}" -- "${pretrained[@]}"

    # Instructions: each backbone is trained on few and on many.
    for count in "${instructions[@]}"; do
        job mix "mixes/$count.jsonl" needs data/instructions.jsonl -- latxa mix "$target=data/instructions.jsonl" \
            --take-from "$target=$count" --seed "$seed" -o "mixes/$count.jsonl" --resume
        for name in "${pretrained[@]}"; do
            name=${name#models/}_$count
            train train "models/$name" "models/${name%_*}" "mixes/$count.jsonl" "${training[@]}" --seed "$seed"
            job respond "responses/$name.jsonl" needs "models/$name" "$prompts" -- latxa respond "$prompts" --model \
                "models/$name" "${answering[@]}" --seed "$seed" -o "responses/$name.jsonl" --resume
            responses+=("responses/$name.jsonl")
        done
    done
    grader
    job judge scores.jsonl needs "${responses[@]}" -- latxa judge "${responses[@]}" --rubric "$rubric" "${grading[@]}" \
        --rejects rejected_scores.jsonl -o scores.jsonl --resume
    job switches switches.jsonl needs "${responses[@]}" -- latxa judge "${responses[@]}" --rubric code-switch \
        --language "$target" -o switches.jsonl --resume
    job battles battles.jsonl needs "${responses[@]}" -- latxa judge "${responses[@]}" -o battles.jsonl --resume
    job arena ratings.jsonl needs battles.jsonl -- latxa arena-score battles.jsonl --prior 1 -o ratings.jsonl --resume
    job report tables.md needs results/perplexity.jsonl ratings.jsonl scores.jsonl switches.jsonl -- latxa report \
        results/perplexity.jsonl ratings.jsonl scores.jsonl switches.jsonl --format markdown -o tables.md --resume
    finish
}

show() {
    if [ -e found.txt ]; then cat found.txt; else cat tables.md; fi
    say "$PWD/tables.md has the tables: perplexities, ratings, grades by category and dimension, other languages"
}

sizes=$recipes/beyond-english
recipe "$@"; exit
