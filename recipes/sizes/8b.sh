# shellcheck shell=bash disable=SC2034,SC2154 # recipes/study.sh reads these names, and sets others
# The study as the paper ran it: Llama 3.1 of 8 billion parameters, Basque, 32 nodes of 4 GPUs for training.
# What is written here differs between sizes; recipes/study.sh is the same for all. `ours`: not stated in the paper.

limit=1000 # GPU-hours without --yes

target=eu
own=(data/shots.jsonl data/prompts.jsonl) # yours: some translations by people, and prompts for the arena

# corpus: the paper's, its sources in their order, curated ones first: of two copies the first one stays.
corpus() {
    fetch hub data/corpus HiTZ/latxa-corpus-v1.1 dataset
    job corpus text/corpus.jsonl needs data/corpus -- latxa corpus wikipedia=data/corpus/wikipedia/train.jsonl.gz \
        egunkaria=data/corpus/egunkaria/train.jsonl.gz booktegi=data/corpus/booktegi/train.jsonl.gz \
        euscrawl=data/corpus/euscrawl-v1.1/train.jsonl.gz culturax=data/corpus/culturax/train.jsonl.gz \
        oscar=data/corpus/colossal-oscar/train.jsonl.gz hplt=data/corpus/hplt-v1/train.jsonl.gz \
        --language "$target" --only normalise --only exact -o text/corpus.jsonl --resume
}

backbones() {
    fetch hub models/exp_0_000 meta-llama/Llama-3.1-8B
    fetch hub models/exp_2_000 meta-llama/Llama-3.1-8B-Instruct
    fetch template data/template.jinja models/exp_2_000
    fetch benchmarks data/benchmarks.txt models/exp_2_000 "${tasks[@]}"
    corpus
    local preparing=(--sequence-length 8192) # a base model needs no template
    train backbone models/exp_1_000 models/exp_0_000 text/corpus.jsonl \
        --config "$recipes/train/continued_pretraining.toml"
}

sampling=(-n 1000000 --task general --task code --task math --task arithmetic) # the paper's `translation` is dropped
shots=(--shots data/shots.jsonl -k 5) # ours
translating=()
preparing=(--sequence-length 8192 --chat-template data/template.jinja) # base models have no template
training=(--config "$recipes/train/paper_8b.toml")
tasks=(--suite paper --paper)
prompts=data/prompts.jsonl
answering=(--temperature 0.9 --top-p 0.95 --max-tokens 2048)

tables=(--table basque --table english --table spanish --baselines published)
finish() { :; }

shards=64      # ours: of sampling and of translation, a GPU each
apart=yes      # each model is evaluated by itself
launch=(srun)  # starts training on all nodes; on one machine `torchrun --nproc-per-node 8 --no-python`
slurm=(        # by stage: a file of recipes/slurm and flags of sbatch; others take cpu
    sample=gpu translate=gpu eval=gpu respond=gpu
    "backbone=train --nodes=32 --ntasks-per-node=4 --gpus-per-node=4"
    "train=train --nodes=32 --ntasks-per-node=4 --gpus-per-node=4"
)

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
    bytes:model=16.1e9 bytes:token=4.5 bytes:training=225e9
    at_once:train=1                                        # ours: models that are trained at the same time
    gpus:backbone=128 gpus:train=128 gpus:sample=64 gpus:translate=64 gpus:eval=20 gpus:respond=19 # at the same time
)
