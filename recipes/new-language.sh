#!/usr/bin/env bash
# An afternoon with a new language: what a study needs of it, and what a model knows of it so far.
#
#     recipes/new-language.sh cy welsh models/base                       a code (BCP-47), a folder, a model
#     recipes/new-language.sh kw cornish models/base --skip language     further words go to `latxa corpus`
#
# The folder holds
#     trusted.jsonl   documents that people wrote and edited: 100 at least
#     raw/            all other text
#     pairs.jsonl     translations by people: `source` in English, `target` in the language
#     checks.toml     perhaps: phrases and limits for the checks of translations
#     tasks/*.yaml    perhaps: tasks of your own
#
# It can be run again: whatever is complete is found complete. recipes/new-language.md explains what comes out.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }
case ${1-} in -h | --help) usage && exit ;; esac
recipes=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 3 ] || { usage >&2 && exit 2; }
code=$1 folder=$2 model=$3
shift 3
[ ! -d "$model" ] || model=$(realpath "$model")
command -v latxa > /dev/null || { "$recipes/install.sh"; PATH=$recipes/../.venv/bin:$PATH; }
cd "$folder"
texts=20 items=20 # to translate, and to ask or predict: few, since a model takes long on a laptop; take more on a GPU

step() { printf '\n== %s\n' "$*" >&2; }

step "Pairs: examples, documents in both languages, questions"
[ -e data ] || { python3 "$recipes/new-language/pairs.py" "$code" pairs.jsonl data.part && mv data.part data; }
checks=() tasks=(--task "data/translations_$code.yaml") against=(--against data/questions.jsonl)
[ ! -e checks.toml ] || checks=(--checks checks.toml)
for task in tasks/*.yaml; do
    [ ! -e "$task" ] || { tasks+=(--task "$task") && against+=(--against-task "$task"); }
done

step "A quality profile of the trusted text"
latxa profile trusted.jsonl --language "$code" -o profile.toml --resume

step "A clean corpus: of copies the trusted one stays, and what the questions ask stays out"
latxa corpus trusted=trusted.jsonl raw=raw --language "$code" --profile profile.toml "${against[@]}" "$@" \
    --rejects rejects.jsonl --review review.jsonl --card card.md --tokenizer "$model" -o corpus.jsonl --resume

step "What a word costs: the same text in both languages"
latxa mix en=data/en.jsonl "$code=data/$code.jsonl" --tokenizer "$model" -o data/both.jsonl --resume

step "The checks of translations: how many of those by people they reject"
latxa audit "data/$code.jsonl" --source data/en.jsonl --from en --to "$code" --field text \
    --calibrate data/shots.jsonl "${checks[@]}" --rejects flagged.jsonl --page flagged.html -o sound.jsonl --resume

step "Translations by the model: how many pass the checks, and how near they are to those by people"
# Where all are rejected there is no translation, and the run fails; the rejects stand there when it has ended.
[ -e untranslated.jsonl ] || latxa translate data/en.jsonl --field text --model "$model" --from en --to "$code" \
    --shots data/shots.jsonl "${checks[@]}" --max-tokens 256 --retries 0 --take "$texts" --rejects untranslated.jsonl \
    -o translated.jsonl --resume || [ -e untranslated.jsonl ]
[ ! -s translated.jsonl ] || latxa audit translated.jsonl --source data/en.jsonl --from en --to "$code" --field text \
    --references "data/$code.jsonl" "${checks[@]}" -o compared.jsonl --resume

step "Evaluation: the questions, and how well the model predicts the same text in both languages"
for language in en "$code"; do
    [ -e "data/some_$language.jsonl" ] || head -n "$items" "data/$language.jsonl" > "data/some_$language.jsonl"
done
latxa eval "$model" "${tasks[@]}" --take "$items" --perplexity "en=data/some_en.jsonl" \
    --perplexity "$code=data/some_$code.jsonl" --answers answers.jsonl -o results.jsonl --resume
latxa report results.jsonl --format table
