# shellcheck shell=bash disable=SC2034,SC2154 # recipes/beyond-english.sh reads these names, and sets others
# LLaMA Beyond English at the size of the paper: LLaMA of 7 billion parameters, and Chinese. The paper takes three models
# of others too, which read 30 and 100 billion tokens. What is written here differs between sizes. `ours`: not stated in
# the paper.

limit=1000 # GPU-hours without --yes

target=zh
base=models/base
scales=(10000 100000 1000000)
extended=(1000000)
joint=(1000000)      # ours: the paper's conclusion, which it draws from a model of others
english=1000000      # ours: documents beside those of the language
tokens=17953         # to 49,953, as Chinese LLaMA has
new_embeddings=mean  # ours
instructions=(1000 5000 950000)

# Yours: web text of the language and of English, instructions in the language, and questions with a reference and the
# category as `task`. A page is held out of what is trained on to be predicted.
texts() {
    local file
    fetch hub models/base huggyllama/llama-7b
    for file in data/{template.jinja,web.jsonl.zst,english.jsonl,instructions.jsonl,predicted.en.jsonl,"predicted.$target.jsonl"} \
        "$prompts"; do
        fetch own "$file"
    done
    job corpus text/corpus.jsonl needs data/web.jsonl.zst -- latxa corpus data/web.jsonl.zst --language "$target" \
        --against "data/predicted.$target.jsonl" -o text/corpus.jsonl --resume
}

preparing=(--sequence-length 2048 --chat-template data/template.jinja)
pretraining=(--dtype bfloat16 --epochs 1 --learning-rate 1e-4 --sequences-per-step 512) # ours
training=(--dtype bfloat16 --epochs 2 --learning-rate 2e-5 --sequences-per-step 128)    # ours
prompts=data/questions.jsonl # the paper's: the 453 of LLM-Eval, in 17 categories
answering=(--max-tokens 1024)
rubric=llm-eval grading=(--judge gpt-4 --base-url https://api.openai.com/v1)
grader() { :; } # a strong model knows what the grades mean
finish() { :; }

apart=yes      # each model is evaluated by itself
launch=(srun)  # starts training on all nodes; on one machine `torchrun --nproc-per-node 8 --no-python`
slurm=(        # by stage: a file of recipes/slurm and flags of sbatch; others take cpu
    extend=gpu eval=gpu respond=gpu
    "pretrain=train --nodes=4 --ntasks-per-node=4 --gpus-per-node=4"
    "train=train --nodes=4 --ntasks-per-node=4 --gpus-per-node=4"
)

facts=(
    tokens:text/documents10000.jsonl=5e6 tokens:text/documents100000.jsonl=50e6 # the paper's: half a billion tokens are
    tokens:text/documents1000000.jsonl=0.5e9 tokens:text/corpus.jsonl=0.5e9     # a million documents
    tokens:text/joint1000000.jsonl=1.5e9                                        # ours, and so is all that follows
    tokens:mixes/1000.jsonl=0.3e6 tokens:mixes/5000.jsonl=1.5e6 tokens:mixes/950000.jsonl=285e6 tokens:data=0.3e9
    tokens:responses=0.2e6
    epochs=2
    rate:train=2470 rate:pretrain=2470 # 8b.sh has what one of the GPUs of another paper took; by parameters
    rate:respond=1000 hours:eval=2
    bytes:model=13.5e9 bytes:token=4.5 bytes:training=190e9
    at_once:train=1 at_once:pretrain=1
    gpus:train=16 gpus:pretrain=16
)
