# shellcheck shell=bash disable=SC2034,SC2154 # recipes/beyond-english.sh reads these names, and sets others
# The miniature: the invented island of the quickstart, and the base model of the study's miniature, which has read
# English with one page in a hundred in Basque. What is written here differs between sizes.

# shellcheck source=recipes/sizes/mini.sh
. "$recipes/sizes/mini.sh" # the island, the backbones, two jobs at once

target=eu
base=models/exp_0_000
scales=(150 1500)
extended=(150 1500)
joint=(1500)
english=500 # documents beside those of the language
tokens=200 new_embeddings=mean
instructions=(50 500)
pretraining=(--config "$island/base_eu.toml" --epochs 2)
training=(--config "$island/exp_2_111.toml")
prompts=data/questions.jsonl
answering=(--max-tokens 60 --batch-size 64)
rubric=$recipes/beyond-english/grade.toml grading=(--judge models/judge --batch-size 64)

texts() {
    local file
    backbones | grep -v 'exp_[12]_000'
    for file in data/{predicted.eu,predicted.en,instructions,questions,graded}.jsonl; do
        job texts "$file" needs data -- python3 "$recipes/beyond-english/island.py" "$file" --seed "$seed"
    done
    job texts data/english.jsonl needs data -- cp data/corpus_en.jsonl data/english.jsonl
}

# The judge has learnt from graded responses what the grades mean.
grader() {
    job lessons lessons/grade.jsonl needs data/graded.jsonl -- "python3 ${recipes@Q}/x-instruction/lessons.py grade \
        --rubric ${rubric@Q} data/graded.jsonl > lessons/grade.part && mv lessons/grade.part lessons/grade.jsonl"
    train train models/judge models/text1500 lessons/grade.jsonl --config "$recipes/x-instruction/mini.toml" \
        --epochs 2 --sequences-per-step 2 --seed "$seed"
}

facts=(tokens:text/corpus.jsonl=150e3 tokens:mixes=15e3 tokens:lessons=60e3 epochs=2 bytes:model=3.6e6 bytes:token=4
    bytes:training=15e6)

finish() {
    job found found.txt needs tables.md scores.jsonl switches.jsonl -- \
        "python3 ${recipes@Q}/beyond-english/found.py . > found.part && mv found.part found.txt"
}
