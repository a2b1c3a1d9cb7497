# shellcheck shell=bash disable=SC2034,SC2154 # recipes/study.sh reads these names, and sets others
# The miniature: three backbones trained from nothing on the invented island of the quickstart, for two cores.
# What is written here differs between sizes; recipes/study.sh is the same for all.

export OMP_NUM_THREADS=1 # two runs of one thread are faster than one run of two
at_once=2

target=eu
island=$recipes/quickstart

# Where data and backbones come from: exp_0_000 is BASE_EN, exp_1_000 BASE_EU, exp_2_000 INSTRUCT_EN.
backbones() {
    job data data needs -- \
        "python3 ${island@Q}/world.py --seed $seed --chats 3000 data.part && mv data.part data"
    job corpus text/corpus.jsonl needs data -- latxa corpus data/corpus_eu_raw.jsonl --language "$target" \
        --profile "$island/island.toml" --only normalise --only language --only quality --only exact \
        --rejects text/corpus_rejects.jsonl -o text/corpus.jsonl --resume
    job init models/new needs data text/corpus.jsonl -- latxa init "$island/model.json" \
        data/corpus_en.jsonl text/corpus.jsonl --vocabulary-size 1024 --seed "$seed" -o models/new --resume
    job backbone models/exp_0_000 needs models/new -- latxa train data/corpus_en.jsonl --model models/new \
        --config "$island/base_en.toml" --seed "$seed" -o models/exp_0_000 --resume
    job backbone models/exp_1_000 needs models/exp_0_000 text/corpus.jsonl -- latxa train text/corpus.jsonl \
        --model models/exp_0_000 --config "$island/base_eu.toml" --seed "$seed" -o models/exp_1_000 --resume
    job backbone models/exp_2_000 needs models/exp_0_000 -- latxa train data/instructions_en.jsonl \
        --model models/exp_0_000 --config "$island/instruct_en.toml" --seed "$seed" -o models/exp_2_000 --resume
}

sampling=(-n 1200 --max-tokens 60 --batch-size 64 --skip duplicate)
shots=(--shots data/shots.jsonl -k 3)
translating=(--max-tokens 60 --batch-size 64)
training=(--config "$island/exp_2_111.toml" --val en=data/chats_en.jsonl --val eu=data/chats_eu.jsonl)
tasks=(--task world_eu --task world_eu_written --task world_en --task world_en_written --task-folder data/tasks)
prompts=data/prompts_eu.jsonl
answering=(--max-tokens 60 --batch-size 64)

facts=(tokens:text/corpus.jsonl=150e3 tokens:text/en.jsonl=25e3 "tokens:text/$target.jsonl=28e3" epochs=2
    epochs:models/exp_1_000=3.5 bytes:model=3.6e6 bytes:token=4 bytes:training=15e6)
tables=(--table "$island/tables/eu.toml" --table "$island/tables/en.toml")

finish() {
    # The instructed backbone beside the adapted base, at equal exposure to the corpus: it too is continued on the corpus
    # alone first, and then trained as the variants of the adapted base are.
    local code models=()
    job backbone models/adapted needs models/exp_2_000 text/corpus.jsonl -- latxa train text/corpus.jsonl \
        --model models/exp_2_000 --config "$island/base_eu.toml" --seed "$seed" -o models/adapted --resume
    for code in 101 110 111; do
        job train "models/adapted_$code" needs models/adapted "mixes/exp_1_$code.jsonl" -- latxa train \
            "mixes/exp_1_$code.jsonl" --model models/adapted "${training[@]}" --seed "$seed" -o "models/adapted_$code" \
            --resume
        models+=("models/adapted_$code")
    done
    job eval results/adapted.jsonl needs "${models[@]}" -- latxa eval "${models[@]}" --chat "${tasks[@]}" \
        -o results/adapted.jsonl --resume
    # What must hold if masks, packing, templates and the ends of answers are right.
    job check checked.txt needs tables.md battles.jsonl -- \
        "python3 ${recipes@Q}/study/check.py . > checked.part || { cat checked.part; exit 1; }; mv checked.part checked.txt"
}
