#!/usr/bin/env bash
# Every stage of adapting a language model to a low-resource language, on a laptop, in a few minutes:
# real engines on text about a small invented island, in English and Basque (see recipes/quickstart/world.py).
#
#     recipes/quickstart.sh [DIR]          writes to DIR (default: quickstart)
#
# It can be run again: whatever is complete is found complete.
set -euo pipefail
case ${1-} in -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit ;; esac
cd "$(dirname "$0")/.."
recipe=$PWD/recipes/quickstart
command -v latxa > /dev/null || { recipes/install.sh; PATH=$PWD/.venv/bin:$PATH; }
mkdir -p "${1:-quickstart}" && cd "${1:-quickstart}"
mkdir -p models text responses results

step() { printf '\n== %s\n' "$*" >&2; }

step "The island: English and Basque text, questions, a few examples of translation"
[ -e data ] || { python3 "$recipe/world.py" data.part && mv data.part data; }

step "Clean the Basque crawl: duplicates, other languages, scraps and broken lines go, each with its reason"
latxa corpus data/corpus_eu_raw.jsonl --language eu --profile "$recipe/island.toml" \
    --only normalise --only language --only quality --only exact \
    --rejects text/rejects.jsonl -o text/corpus_eu.jsonl --resume

step "BASE_EN: a new tokenizer and a new model, trained on English"
latxa init "$recipe/model.json" data/corpus_en.jsonl text/corpus_eu.jsonl --vocabulary-size 1024 -o models/new --resume
latxa train data/corpus_en.jsonl --model models/new --config "$recipe/base_en.toml" -o models/base_en --resume

step "BASE_EU and INSTRUCT_EN, side by side: BASE_EN continued on Basque text, and BASE_EN taught to answer in English"
latxa train text/corpus_eu.jsonl --model models/base_en --config "$recipe/base_eu.toml" \
    -o models/base_eu --resume &
latxa train data/instructions_en.jsonl --model models/base_en --config "$recipe/instruct_en.toml" \
    -o models/instruct_en --resume
wait $!

step "Instructions: INSTRUCT_EN writes questions and answers (Magpie), BASE_EU translates them"
[ -e text/eu.jsonl ] || {
    latxa sample --model models/instruct_en -n 800 --max-tokens 60 --batch-size 64 --seed 1 --skip duplicate |
        tee text/en.part |
        latxa translate --model models/base_eu --shots data/shots.jsonl -k 3 --from en --to eu \
            --max-tokens 60 --batch-size 64 --rejects text/untranslated.jsonl > text/eu.part
    mv text/en.part text/en.jsonl
    mv text/eu.part text/eu.jsonl
}

step "exp_2_111: INSTRUCT_EN trained on Basque text, Basque and English instructions at once"
latxa mix --variant exp_2_111 corpus=text/corpus_eu.jsonl eu=text/eu.jsonl en=text/en.jsonl \
    --tokenizer models/instruct_en --seed 33 -o text/exp_2_111.jsonl --resume
latxa train text/exp_2_111.jsonl --model models/instruct_en --config "$recipe/exp_2_111.toml" -o models/exp_2_111 --resume

step "Evaluation: what each model knows, asked in Basque and in English"
questions=(--task world_eu --task world_en --task-folder data/tasks)
latxa eval models/base_eu --no-chat "${questions[@]}" -o results/base.jsonl --resume
latxa eval models/instruct_en models/exp_2_111 --chat "${questions[@]}" -o results/chat.jsonl --resume

step "Arena: two models answer the same Basque prompts; the answer nearer to the reference wins"
for model in instruct_en exp_2_111; do
    latxa respond --model models/$model data/prompts_eu.jsonl \
        --max-tokens 60 --batch-size 64 -o responses/$model.jsonl --resume
done
latxa judge responses/instruct_en.jsonl responses/exp_2_111.jsonl -o battles.jsonl --resume
latxa arena-score battles.jsonl --prior 1 -o ratings.jsonl --resume

step "Results"
latxa report results/*.jsonl ratings.jsonl --format table
cat >&2 << END

Everything is in $PWD:
  data/         the island: texts, questions, examples, tasks
  text/         the clean corpus and its rejects, the instructions (en.jsonl, eu.jsonl), the mix
  models/       new, base_en, base_eu, instruct_en, exp_2_111: load them with transformers
  responses/    what two of them answered; battles.jsonl: who won; ratings.jsonl
  results/      the evaluation
Beside each file, FILE.manifest.json says how it was made. What the numbers mean: recipes/quickstart.md.
END
