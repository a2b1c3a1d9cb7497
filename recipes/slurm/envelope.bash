# shellcheck shell=bash
# What each .sbatch file of this folder does, once Slurm has started it: it runs the command that follows its name.
#
# - `{I}` and `{N}` in the command stand for the task's number in its array, and for the number of tasks.
# - Compute nodes see no internet: models are directories, and benchmarks lie in the hub's cache (recipes/fetch.sh).
# - Five minutes before the time is up Slurm sends USR1 (`--signal=B:USR1@300`). The command is told to end (SIGTERM),
#   and saves its work; then the job is queued again, and `--resume` continues. SIGTERM, as on preemption and `scancel`,
#   is passed on.
# - The exit code is that of the command.
set -euo pipefail
[ $# -gt 0 ] || { echo "which command? sbatch FILE.sbatch latxa …" >&2 && exit 2; }

export PATH=$LATXA/.venv/bin:$PATH
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 WANDB_MODE=${WANDB_MODE:-offline}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

# What `srun` reads, where the command begins with it. Each task sees all GPUs of its node and takes that of its local
# number; one that ends badly takes the others with it, rather than let them wait for it; lines begin with its number.
export SRUN_CPUS_PER_TASK=$OMP_NUM_THREADS # since Slurm 22.05, srun does not take it from the job
export SLURM_GPU_BIND=none SLURM_KILL_BAD_EXIT=1 SLURM_LABELIO=1

job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
export job=${job:-$SLURM_JOB_ID}

# await PID: wait until a process has ended, whatever signals come meanwhile, and return its exit code.
await() {
    local code=0
    wait "$1" || code=$?
    while kill -0 "$1" 2> /dev/null; do
        code=0
        wait "$1" || code=$?
    done
    return "$code"
}

# srun kills its tasks where it is told to end. This one tells them, which lets them save their work.
# shellcheck disable=SC2317 # it stands in commands
srun() {
    trap 'scancel --signal=TERM "$job"' TERM
    setsid srun "$@" & # in a session of its own, in which no signal reaches it
    await $!
}
export -f await srun

# A part of an array would give its tasks shares of another whole: {N} would not be the number of shards.
if [[ $* == *"{N}"* ]] && [ $((SLURM_ARRAY_TASK_MAX + 1)) -ne "$SLURM_ARRAY_TASK_COUNT" ]; then
    echo "{N} needs the whole array, --array=0-$SLURM_ARRAY_TASK_MAX: what is complete ends at once" >&2 && exit 2
fi
words=("${@//"{I}"/${SLURM_ARRAY_TASK_ID-}}")
words=("${words[@]//"{N}"/${SLURM_ARRAY_TASK_COUNT-}}")

# Tell the command to end, once it has a number. What has not ended a minute before the time is up is cut off, and
# continues from what it saved before.
command='' told='' again='' late=''
# shellcheck disable=SC2317 # traps call it
end() {
    local left seconds=240
    told=yes
    [ "$command" ] || return 0
    kill -TERM "$command" || true
    if [ "$again" ] && [ ! "$late" ]; then
        left=$(squeue --noheader --jobs="$job" --format=%L 2> /dev/null || true) # such as 4:58
        [[ ! $left =~ ^([0-9]+):([0-9]+)$ ]] || seconds=$((10#${BASH_REMATCH[1]} * 60 + 10#${BASH_REMATCH[2]} - 60))
        { sleep "$seconds" && scontrol requeue "$job"; } > /dev/null 2>&1 &
        late=$!
    fi
}
trap 'again=yes; end' USR1
trap end TERM

"${words[@]}" &
command=$!
[ ! "$told" ] || end
code=0
await "$command" || code=$?
[ ! "$late" ] || kill "$late" || true
if [ "$again" ] && [ "$code" -ne 0 ]; then
    echo "the time is up: queued again"
    scontrol requeue "$job"
fi
exit "$code"
