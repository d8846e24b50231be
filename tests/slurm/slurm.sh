#!/bin/bash
# A Slurm of its own in the folder FOLDER, whose slurm.conf lies there: three nodes, all of them this machine.
# Who kills the outer process ends all that runs in it, jobs included: they are in one process name space.
set -eu
if [ $# = 1 ]; then
    exec unshare --fork --pid --kill-child --mount-proc "$0" "$1" inside
fi
cd "$1"
export SLURM_CONF=$PWD/slurm.conf
head -c 64 /dev/urandom >key
chmod 600 key
munged --foreground --force --key-file="$PWD/key" --socket="$PWD/munge" --pid-file="$PWD/munged.pid" \
    --log-file="$PWD/munged.log" --seed-file="$PWD/munged.seed" &
until [ -S munge ]; do sleep 0.2; done
slurmctld -D &
for node in n1 n2 n3; do slurmd -D -N $node & done
wait
