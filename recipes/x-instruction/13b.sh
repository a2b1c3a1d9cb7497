# shellcheck shell=bash disable=SC2034,SC2154 # recipes/x-instruction.sh reads these names, and sets others
# X-Instruction at the size of the paper: Llama 2 of 13 billion parameters, ten languages, 32,000 pairs of each.
# What is written here differs between sizes; recipes/x-instruction.sh is the same for all. `ours`: not stated in the paper.

limit=1000 # GPU-hours without --yes

languages=("fi Finnish" "id Indonesian" "th Thai" "tr Turkish" "vi Vietnamese" "bn Bengali" "hi Hindi" "sw Swahili"
    "ta Tamil" "ur Urdu")
iterations=${iterations:-2} # ours
pairs=32000
rubric=curate lowest=3 # three levels are the paper's, their wording is ours, and so is which level is kept
base=models/base
embedder=models/base # ours
clustering=()        # ours: the square root of the number of pairs

# Yours: a chat template; questions; of each language pairs of an English instruction and a native answer, texts, and some
# other texts.
texts() {
    local language code file
    fetch hub models/base meta-llama/Llama-2-13b-hf
    for file in data/template.jinja "$prompts"; do fetch own "$file"; done
    for language in "${languages[@]}"; do
        code=${language%% *}
        fetch own "data/seed.$code.jsonl"
        fetch own "data/others.$code.jsonl"
        fetch own "data/web.$code.jsonl.zst"
        job corpus "data/texts.$code.jsonl" needs "data/web.$code.jsonl.zst" -- latxa corpus "data/web.$code.jsonl.zst" \
            --language "$code" -o "data/texts.$code.jsonl" --resume
    done
}

preparing=(--sequence-length 4096 --chat-template data/template.jinja)
writing=(--take 100000 --max-tokens 256)                                        # ours
reversing=(--dtype bfloat16 --epochs 3 --learning-rate 2e-5 --sequences-per-step 128) # ours
curating=()
judging=("${reversing[@]}")                                                     # ours
training=("${reversing[@]}")                                                    # ours
prompts=data/prompts.jsonl # the paper's: the questions of Vicuna and WizardLM
answering=(--temperature 0.7 --top-p 0.9 --max-tokens 2048) # the authors' code, which has top-k and a ban on repeats too
comparing=(--rubric pairwise --judge gpt-4 --base-url https://api.openai.com/v1)
tasks=(--task xnli --task xcopa --task xstorycloze)
finish() { :; }

shards=8       # ours: of what is written and judged of a language, a GPU each
launch=(srun)  # starts training on all nodes; on one machine `torchrun --nproc-per-node 8 --no-python`
slurm=(        # by stage: a file of recipes/slurm and flags of sbatch; others take cpu
    write=gpu curate=gpu mix=gpu respond=gpu eval=gpu
    "train=train --nodes=4 --ntasks-per-node=4 --gpus-per-node=4"
)

facts=( # ours, all of them
    tokens:lessons=15e6 tokens:data=50e6 tokens:pairs=50e6 tokens:scores=50e6 tokens:mixes=160e6 tokens:responses=2e6
    epochs=3
    rate:train=1330                                    # 8b.sh has what one of the GPUs of another paper took; by parameters
    rate:write=2000 rate:curate=4000 rate:respond=1000 # vLLM, on one of these GPUs
    hours:eval=4
    bytes:model=26e9 bytes:token=4.5 bytes:training=365e9
    at_once:train=1
    gpus:train=16 gpus:write=80 gpus:curate=80
)
