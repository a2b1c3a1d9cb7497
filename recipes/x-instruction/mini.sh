# shellcheck shell=bash disable=SC2034,SC2154 # recipes/x-instruction.sh reads these names, and sets others
# The miniature: one language, the invented island of the quickstart, and the adapted base of the study's miniature.
# What is written here differs between sizes; recipes/x-instruction.sh is the same for all.

iterations=${iterations:-2}
languages=("eu Basque")
pairs=120
# shellcheck source=recipes/sizes/mini.sh
. "$recipes/sizes/mini.sh" # the island, the backbones, two jobs at once

base=models/exp_1_000 # BASE_EU
texts() {
    backbones | grep -v exp_2_000
    local file
    for file in data/{seed.eu,texts.eu,others.eu,prompts}.jsonl; do
        job texts "$file" needs data -- python3 "$recipes/x-instruction/island.py" "$file" --seed "$seed"
    done
}

rubric=$recipes/x-instruction/level.toml lowest=3
embedder=models/exp_1_000
prompts=data/prompts.jsonl
reversing=(--config "$recipes/x-instruction/mini.toml" --sequence-length 256)
writing=(--max-tokens 30 --batch-size 64 --skip duplicate --skip near) # questions here differ in a word
curating=(--batch-size 64)
judging=(--config "$recipes/x-instruction/mini.toml" --epochs 3 --sequences-per-step 2)
training=(--config "$recipes/x-instruction/mini.toml" --epochs 10 --sequences-per-step 2)
answering=(--max-tokens 60 --batch-size 64)
comparing=() # the answer nearer to the reference wins: a judge of pairs is out of reach of a model this small
tasks=(--task world_eu --task-folder data/tasks)
clustering=()
facts=(tokens:text/corpus.jsonl=150e3 tokens:lessons=65e3 tokens:mixes=60e3 epochs=4 bytes:model=3.6e6 bytes:token=4
    bytes:training=15e6)

finish() { # the truth about pairs and answers, which is known here
    job found found.txt needs tables.md scores/1.eu.jsonl mixes/generated.jsonl mixes/refined.jsonl \
        mixes/diversified.jsonl -- \
        "python3 ${recipes@Q}/x-instruction/found.py . > found.part && mv found.part found.txt"
}
