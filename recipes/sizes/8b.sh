# shellcheck shell=bash disable=SC2034,SC2154 # recipes/study.sh reads these names, and sets others
# The study as the paper ran it: Llama 3.1 of 8 billion parameters, Basque, 32 nodes of 4 GPUs for training.
# What is written here differs between sizes; recipes/study.sh is the same for all. `ours`: not stated in the paper.
# Two files are yours: data/shots.jsonl, some translations by people, and data/prompts.jsonl, prompts for the arena.

at_once=1
limit=1000 # GPU-hours without --yes

target=eu

# fetch MADE NAME…: a model or data from the hub. What breaks off is continued.
fetch() {
    local made=$1
    shift
    job fetch "$made" needs -- "hf download $* --local-dir $made.part && mv $made.part $made"
}

backbones() {
    fetch models/exp_0_000 meta-llama/Llama-3.1-8B
    fetch models/exp_2_000 meta-llama/Llama-3.1-8B-Instruct
    fetch data/corpus HiTZ/latxa-corpus-v1.1 --repo-type dataset
    # The sources in their order, curated ones first: of two copies the first one stays.
    job corpus text/corpus.jsonl needs data/corpus -- latxa corpus wikipedia=data/corpus/wikipedia/train.jsonl.gz \
        egunkaria=data/corpus/egunkaria/train.jsonl.gz booktegi=data/corpus/booktegi/train.jsonl.gz \
        euscrawl=data/corpus/euscrawl-v1.1/train.jsonl.gz culturax=data/corpus/culturax/train.jsonl.gz \
        oscar=data/corpus/colossal-oscar/train.jsonl.gz hplt=data/corpus/hplt-v1/train.jsonl.gz \
        --language "$target" --only normalise --only exact -o text/corpus.jsonl --resume
    job backbone models/exp_1_000 needs models/exp_0_000 text/corpus.jsonl -- latxa train text/corpus.jsonl \
        --model models/exp_0_000 --config "$recipes/train/continued_pretraining.toml" -o models/exp_1_000 --resume
}

sampling=(-n 1000000 --task general --task code --task math --task arithmetic) # the paper's `translation` is dropped
shots=(--shots data/shots.jsonl -k 5) # ours
translating=()
training=(--config "$recipes/train/paper_8b.toml")
tasks=(--suite paper --paper)
prompts=data/prompts.jsonl
answering=(--temperature 0.9 --top-p 0.95 --max-tokens 2048)

tables=(--table basque --table english --table spanish --baselines published)
finish() { :; }

facts=(
    tokens:text/corpus.jsonl=3.5e9    # the paper's
    tokens:text/en.jsonl=0.45e9  # ours: 450 a conversation, of 1M
    "tokens:text/$target.jsonl=0.9e9"   # ours: twice those of the original, in this tokenizer
    tokens:responses=2e6              # ours: of each model
    epochs=4 epochs:models/exp_1_000=1
    # The paper's 3:58 h on 128 GPUs (A100) for an epoch of the corpus and 1M English instructions.
    rate:train=2161 rate:backbone=2161
    rate:sample=1500 rate:translate=1000 rate:respond=1000 # ours: vLLM, on one of these GPUs
    hours:eval=4.69                                        # the paper's logs, a model
    bytes:model=16.1e9 bytes:token=4.5 bytes:training=225e9 at_once:training=1
)
