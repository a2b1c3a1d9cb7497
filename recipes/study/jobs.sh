# shellcheck shell=bash disable=SC2034,SC2154 # the recipes, and the files of their sizes, set and read these names
# What recipes share that are made of jobs: study.sh, x-instruction.sh, beyond-english.sh. Such a recipe has two functions,
# `plan`, which prints its jobs, a line each as study/job.py describes it, and `show`, which prints what came of them.
# study/jobs.py carries the jobs out. All that differs between sizes stands in a file a size, in the folder `sizes`.

# job STAGE MADE needs NEED… -- COMMAND…
# What is made, what that needs, and the command line; a command that is one word is a line of shell.
job() {
    local stage=$1 made=$2 needs=() command
    shift 3
    while [ "$1" != -- ]; do needs+=("$1") && shift; done
    shift
    [ $# -eq 1 ] && command=$1 || printf -v command '%q ' "$@"
    printf '%s\t%s\t%s\t%s\n' "$stage" "$made" "${needs[*]}" "${command//$'\n'/ }"
}

# fetch KIND MADE WORD…: what compute nodes cannot get themselves; study/fetch.py has the kinds.
# shellcheck disable=SC2317 # files of sizes call it
fetch() { job fetch "$2" needs -- python3 "$recipes/study/fetch.py" "$@"; }

# spread STAGE MADE needs NEED… -- COMMAND…: a job; or, where the size has `shards`, a job for each and one that joins
# them. `{}` in names stands for nothing, or for .I: text/en{}.jsonl is text/en.jsonl, or text/en.0.jsonl ….
spread() {
    local stage=$1 made=$2 parts=() part
    shift 2
    if [ "${shards:-1}" -eq 1 ]; then
        job "$stage" "${made/\{\}/}" "${@//\{\}/}"
        return
    fi
    for ((part = 0; part < shards; part++)); do
        job "$stage" "${made/\{\}/.$part}" "${@//\{\}/.$part}" --shard "$part/$shards"
        parts+=("${made/\{\}/.$part}")
    done
    made=${made/\{\}/}
    job "join_$stage" "$made" needs "${parts[@]}" -- "cat ${parts[*]} > $made.part && mv $made.part $made"
}

# train STAGE MADE MODEL DATA WORD…: training; where the size has `preparing`, after a job on CPUs that tokenises and
# packs.
train() {
    local stage=$1 made=$2 model=$3 data=$4 prepared=prepared/${2##*/}
    shift 4
    if [ ${#preparing[@]} -gt 0 ]; then
        job "prepare_$stage" "$prepared" needs "$model" "$data" -- latxa prepare "$data" --model "$model" "${preparing[@]}" \
            -o "$prepared" --resume
        data=$prepared
    fi
    job "$stage" "$made" needs "$model" "$data" -- "${launch[@]}" latxa train "$data" --model "$model" "$@" \
        -o "$made" --resume
}

# evaluate NAME WORD… -- MODEL…: results/NAME.jsonl, of all models in one job; or, where the size says `apart`, of each
# by itself, and joined.
evaluate() {
    local name=$1 words=() model results=() answers=()
    shift
    while [ "$1" != -- ]; do words+=("$1") && shift; done
    shift
    if [ ! "${apart-}" ]; then
        job eval "results/$name.jsonl" needs "$@" -- latxa eval "$@" "${words[@]}" \
            --answers "results/${name}_answers.jsonl" -o "results/$name.jsonl" --resume
        return
    fi
    for model; do
        results+=("results/$name/${model##*/}.jsonl") answers+=("results/$name/${model##*/}_answers.jsonl")
        job eval "${results[-1]}" needs "$model" -- latxa eval "$model" "${words[@]}" \
            --answers "${answers[-1]}" -o "${results[-1]}" --resume
    done
    job join_eval "results/$name.jsonl" needs "${results[@]}" -- "cat ${answers[*]} > results/${name}_answers.jsonl &&
        cat ${results[*]} > results/$name.part && mv results/$name.part results/$name.jsonl"
}

# In functions, so that the shell has read all files to their end before it starts: they may be replaced meanwhile.

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }

say() { echo "$RECIPE: $*" >&2; }

# recipe WORD…: does what the words of the command line say. `settings` names the flags of this recipe alone.
recipe() {
    size=mini seed=1 chosen=() facts=() slurm=() limit=inf own=() preparing=() launch=() asking=()
    RECIPE=$(basename "$0" .sh)
    export RECIPE LATXA=${recipes%/*} # for recipes/study/jobs.py and recipes/slurm
    local folder=$RECIPE limited=yes
    while [ $# -gt 0 ]; do
        case $1 in
            --size | --seed | --only | --stage | --draw)
                [ $# -gt 1 ] || { say "$1 of what?" && exit 2; }
                ;;&
            --size | --seed) printf -v "${1#--}" %s "$2" && shift 2 ;;
            --only | --stage) chosen+=("$1" "$2") && shift 2 ;;
            --list | --dry-run | --submit | --check) chosen+=("$1") && shift ;;
            --draw) chosen+=(--draw "$(realpath "$2")") && shift 2 ;;
            --yes) limited= && shift ;;
            -h | --help) usage && exit ;;
            --*)
                [[ " ${settings[*]-} " == *" ${1#--} "* ]] || { usage >&2 && exit 2; }
                [[ ${2-} =~ ^[1-9][0-9]*$ ]] || { say "$1 wants a number" && exit 2; }
                printf -v "${1#--}" %s "$2" && shift 2
                ;;
            -*) usage >&2 && exit 2 ;;
            *) folder=$1 && shift ;;
        esac
    done
    [ "$size" = "${size##*/}" ] || { say "$size is no name" && exit 2; }
    [ -e "$sizes/$size.sh" ] || { say "there is no recipes${sizes#"$recipes"}/$size.sh" && exit 2; }
    # shellcheck source=recipes/sizes/mini.sh
    . "$sizes/$size.sh"
    mkdir -p "$folder" && cd "$folder" || exit
    [[ " ${chosen[*]} " =~ \ --(list|dry-run)\  ]] || command -v latxa > /dev/null || {
        "$recipes/install.sh" plots && PATH=$recipes/../.venv/bin:$PATH
    }
    plan | python3 "$recipes/study/jobs.py" --at-once "${at_once:-1}" "${chosen[@]}" "${facts[@]/#/--fact=}" \
        "${slurm[@]/#/--slurm=}" ${limited:+--limit "$limit"}
    [ ${#chosen[@]} -gt 0 ] || show
}
