# shellcheck shell=bash disable=SC2034,SC2154 # recipes/study.sh reads these names, and sets others
# The one model of 70 billion parameters that the paper trained, its `2_101`: Llama 3.1 Instruct on the corpus and on
# English instructions that it wrote itself. `ours`: not stated in the paper. All else is as for 8 billion parameters:
# shellcheck source=recipes/sizes/8b.sh
. "$recipes/sizes/8b.sh"

own=(data/prompts.jsonl) # yours: prompts for the arena
variants() { printf '%s\t%s\t%s\n' exp_2_000 instructed - exp_2_101 instructed 'corpus english'; }
bases= # no base models, and none merged

backbones() {
    fetch hub models/exp_2_000 meta-llama/Llama-3.1-70B-Instruct
    fetch benchmarks data/benchmarks.txt models/exp_2_000 "${tasks[@]}"
    corpus
}

node=(--engine-option tensor_parallel_size=4) # ours: 141 GB of weights lie on the GPUs of a node
sampling+=("${node[@]}")
answering+=("${node[@]}")
preparing=(--sequence-length 8192)
training=(--config "$recipes/train/paper_70b.toml")
# The paper's tasks but for those whose choices are texts: arc, bl2mp, piqa and xstorycloze. Those are compared on one
# GPU, which does not hold this model.
tasks=(--paper)
for task in belebele_{eus,eng,spa}_Latn bertaqa_{eu,en}_{global,local} eus_{exams_eu,proficiency,reading,trivia} \
    mgsm_native_cot_{eu,en,es} mmlu_{eu,en,es} basqbbq latxa_bbq; do
    tasks+=(--task "$task")
done
asking=(--engine vllm "${node[@]}")
effects=(--table tradeoff) # of one factor there is one model

slurm=( # by stage: a file of recipes/slurm and flags of sbatch; others take cpu
    "sample=gpu --gpus-per-node=4" "eval=gpu --gpus-per-node=4" "respond=gpu --gpus-per-node=4"
    "train=train --nodes=64 --ntasks-per-node=4 --gpus-per-node=4 --signal=B:USR1@900" # a checkpoint takes longer
)

facts=(
    tokens:text/corpus.jsonl=3.5e9 # the paper's
    tokens:text/en.jsonl=0.45e9    # ours: 450 a conversation, of 1M
    tokens:responses=2e6           # ours: of each model
    epochs=4
    rate:train=247                        # ours: that of the 8B, by the number of parameters
    rate:sample=300 rate:respond=300      # ours: vLLM, a quarter of what 4 of these GPUs write
    hours:eval=20                         # ours: a model
    bytes:model=141e9 bytes:token=4.5 bytes:training=1.98e12
    at_once:train=1 gpus:train=256 gpus:sample=256 gpus:eval=8 gpus:respond=8 # at the same time
)
