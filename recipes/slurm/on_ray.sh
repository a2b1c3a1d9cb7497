#!/usr/bin/env bash
# on_ray.sh COMMAND…: start Ray on all nodes of this job, run the command on the first one, and end Ray with it.
# ray.sbatch calls it. (`ray symmetric-run` ends well where Ray did not start, and stops whatever Ray it finds.)
set -euo pipefail
export RAY_USAGE_STATS_ENABLED=0

# The address by which other nodes reach this one; nodes have several.
address() {
    local found
    found=$(getent ahostsv4 "$SLURMD_NODENAME" | awk 'NR == 1 { print $1 }')
    echo "${found:-$SLURMD_NODENAME}"
}
export -f address
RAY_ADDRESS=$(address):6379 # this is the first node
export RAY_ADDRESS

# shellcheck disable=SC2016 # each task has its own number
command srun --ntasks-per-node=1 bash -c '
    [ "$SLURM_PROCID" -gt 0 ] || exec ray start --head --node-ip-address="$(address)" --port=6379 --block
    until (exec 3<> "/dev/tcp/${RAY_ADDRESS/://}") 2> /dev/null; do sleep 1; done
    exec ray start --address="$RAY_ADDRESS" --node-ip-address="$(address)" --block' > /dev/null &
ray=$!
trap 'kill "$ray" 2> /dev/null || true' EXIT

# Whoever waits for nodes that do not come would wait for ever.
timeout 600 python3 - << 'END' || { echo "Ray did not start on all nodes" >&2 && exit 1; }
import os, socket, time
host, port = os.environ["RAY_ADDRESS"].split(":")
while True:
    try:
        socket.create_connection((host, int(port)), 5).close()
        break
    except OSError:
        time.sleep(1)
import ray
ray.init(address=os.environ["RAY_ADDRESS"], logging_level="CRITICAL", log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < int(os.environ["SLURM_JOB_NUM_NODES"]):
    time.sleep(1)
END

"$@" &
command=$!
trap 'kill -TERM "$command"' TERM
await "$command"
