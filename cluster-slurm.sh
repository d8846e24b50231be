#!/bin/bash
# A study on Slurm: Ray on the nodes of a job, and on it the command of `evae` that follows the file's name.
#
#   sbatch cluster-slurm.sh doctor --store /shared/studies              # is all as it must be?
#   sbatch cluster-slurm.sh study kernel-sweep --name faces --trials 100 --results /shared/studies
#   sbatch --nodes=8 --gpus-per-node=4 cluster-slurm.sh study study.toml
#   scancel --batch --signal=USR1 JOB     # the study stops as after Ctrl-C, and goes on when the job starts again
#   scancel JOB                           # it ends; the same sbatch continues it
#
# Start it in the project's folder, which all nodes must see, as they must the results. A job that is preempted, or comes
# to its time limit, continues its study when Slurm starts it again. Values to change are marked with <--.
#
#SBATCH --job-name=evae
#SBATCH --output=evae-%j.log
#SBATCH --open-mode=append        # one log, however often the job starts again
#SBATCH --nodes=2                 # <--
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8         # <-- cores of a node
#SBATCH --mem=32G                 # <-- memory of a node
##SBATCH --gpus-per-node=1        # <-- remove a # for GPUs
#SBATCH --time=1-00:00:00         # <--
#SBATCH --requeue
#SBATCH --signal=B:USR1@180       # three minutes before the time limit the study stops, and the job is requeued
set -u
export PATH="$SLURM_SUBMIT_DIR/.venv/bin:$PATH"

start_ray() { # a node of Ray's with what the job has of this one; ends when that does
    local mb=${SLURM_MEM_PER_NODE:-$((${SLURM_MEM_PER_CPU:-0} * SLURM_CPUS_ON_NODE))} memory=() folder
    # Ray would take all of the machine. Of its memory it gives 30 % to data that processes share.
    ((mb)) && memory=(--memory=$((mb * 734003)) --object-store-memory=$((mb * 314572)))
    # Paths of sockets may have 107 characters, which a job's own TMPDIR often exceeds. Ray lets everybody into its own.
    folder=$(mktemp -d "/tmp/ray-$SLURM_JOB_ID-XXXX") || exit
    ulimit -n "$(ulimit -Hn)"
    # Several jobs may be on one machine: no port is a fixed one.
    ray start "$@" --block --temp-dir="$folder/ray" --disable-usage-stats --min-worker-port=0 --max-worker-port=0 \
        --dashboard-agent-listen-port=0 --num-cpus="${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}" \
        --num-gpus="${SLURM_GPUS_ON_NODE:-0}" "${memory[@]}" >"$folder/said" 2>&1 &
    trap 'stopped=yes; kill -TERM $!' TERM
    ended $!
    [ -n "${stopped-}" ] || cat "$folder/said"
    rm -rf "$folder"
}

ended() { # wait for a process, however many signals are handled meanwhile; its exit status
    while kill -0 "$1" 2>/dev/null; do wait "$1"; done
    wait "$1"
}

answers() { # whether anything listens on this port here
    (: >"/dev/tcp/$ip/$1") 2>/dev/null
}

step() { # run something on nodes of this job, beside what runs there
    srun --overlap --export=ALL --kill-on-bad-exit=0 --wait=0 "$@"
}

# Returns when so many nodes have joined the cluster at this address.
COUNT='
import sys, time, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(1)
'
# Slurm tells all processes of a step at once to end: on a node that leaves, Ray has nothing to wait for.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(ray get-auth-token --generate) || exit
ip=$(python -c "import ray; print(ray.util.get_node_ip_address())") || exit
# A job's own two ports, below those that the system hands out.
port=$((10000 + SLURM_JOB_ID % 10000 * 2))
while answers $port; do port=$((port + 2)); done
address=$ip:$port
start_ray --head --port=$port --ray-client-server-port=$((port + 1)) --include-dashboard=false &
head=$!
until answers $port; do
    kill -0 $head 2>/dev/null || exit 1
    sleep 1
done
if ((others = SLURM_JOB_NUM_NODES - 1)); then
    export -f start_ray ended
    step --nodes=$others --ntasks=$others --exclude="$SLURMD_NODENAME" bash -c "start_ray --address=$address" &
    timeout 300 python -c "$COUNT" "$address" "$SLURM_JOB_NUM_NODES" || echo "Not all nodes have joined; going on without."
fi

again=yes
trap 'scancel --signal=TERM "$SLURM_JOB_ID"' USR1
trap 'again=no' TERM # by who ended the job, and told its steps too
# Slurm tells a job's steps that it is preempted, and not this script: so the study is a step.
step --nodes=1 --ntasks=1 --nodelist="$SLURMD_NODENAME" evae "$@" --address="$address" &
ended $!
status=$?
{ # Ray, where it is still there: on the other nodes, and here
    scancel --signal=TERM "$SLURM_JOB_ID"
    kill -TERM $head
} 2>/dev/null
# It needs a moment, and on a node that is lost it never ends.
for ((second = 0; second < 30; second++)); do
    [ -n "$(jobs -rp)" ] || break
    sleep 1
done
# What a study ends with that stops as after Ctrl-C, and what a command that was told to end before that.
if [ $again = yes ] && ((status == 130 || status == 143)); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
