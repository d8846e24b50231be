#!/bin/bash
# Machines that exist only as long as this script: each has its own network, processes, /tmp, home and sshd.
#
#   sudo tests/cluster/hosts.sh FOLDER COUNT
#
# Host N is 10.99.0.N, host name hN, reached by `ssh -i FOLDER/key root@10.99.0.N` from where this script runs, which
# has no other network. FOLDER/shared is /mnt on all of them. FOLDER/ready appears when all answer. `kill -KILL` of this
# script removes everything but FOLDER.
# Needs root, and Debian's iproute2 and openssh-server. FOLDER must not lie on an overlay.
set -eu
folder=$(realpath "$1") count=$2
if [ "${3:-}" != inside ]; then
    exec unshare --net --pid --mount --fork --mount-proc --kill-child "$0" "$folder" "$count" inside
fi

mkdir -p "$folder/shared"
ssh-keygen -q -t ed25519 -N '' -f "$folder/key"
ssh-keygen -q -t ed25519 -N '' -f "$folder/hostkey"
cat >"$folder/sshd_config" <<END
HostKey /run/sshd/hostkey
AuthorizedKeysFile /run/sshd/key.pub
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
END

# Where `ray up` runs: its notes about clusters are kept apart from the real machine's. A bridge joins it and the hosts.
mkdir -p /tmp/ray
mount -t tmpfs tmpfs /tmp/ray
ip link set lo up
ip link add bridge type bridge
ip link set bridge up
ip addr add 10.99.0.100/24 dev bridge

for n in $(seq "$count"); do
    mkdir -p "$folder/h$n/home" "$folder/h$n/work" "$folder/h$n/tmp"
    # What a host writes in its home is its own; Ray's token of this machine is none of its business.
    unshare --net --pid --mount --uts --fork --kill-child bash -c "
        set -e
        mount --make-rprivate /
        mount -t proc proc /proc
        hostname h$n
        mount --bind '$folder/shared' /mnt
        mount -t overlay -o 'lowerdir=$HOME,upperdir=$folder/h$n/home,workdir=$folder/h$n/work' overlay '$HOME'
        rm -rf '$HOME/.ray' '$HOME/ray_results'
        mount -t tmpfs tmpfs /dev/shm
        mount -t tmpfs tmpfs /run
        mkdir -m 755 /run/sshd
        cp '$folder'/{hostkey,key.pub,sshd_config} /run/sshd
        mount --bind '$folder/h$n/tmp' /tmp
        /usr/sbin/sshd -f /run/sshd/sshd_config -E /run/sshd/log
        while true; do sleep 1; done" &
    host=$!
    until [ "$(readlink /proc/$host/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
    ip link add "v$n" type veth peer name eth0 netns "$host"
    ip link set "v$n" master bridge up
    nsenter --target "$host" --net sh -c "
        ip link set lo up; ip addr add 10.99.0.$n/24 dev eth0; ip link set eth0 up; ip route add default via 10.99.0.100"
done
for n in $(seq "$count"); do
    until ssh -q -i "$folder/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=2 \
        "root@10.99.0.$n" true; do sleep 0.2; done
done
touch "$folder/ready"
wait
