#!/bin/sh
# A machine of the lab, from inside: PID 1 of its mount, pid and uts namespaces, in a net namespace
# that already has its eth0. Every line can be typed by hand in a root shell.
#
#   node.sh NAME DISK     DISK holds what the machine keeps: etc, var and root
#
# Says `ready` on stdout when sshd has bound its port. The machine lives as long as this shell.
set -eu

name=$1 disk=$2
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

hostname "$name"

# Its own view of processes, of terminals and of the network's knobs.
mount -t proc proc /proc
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx
mount -t sysfs -o ro sysfs /sys

# Its own files. /home is the learner's: a machine has no business there.
for folder in etc var root; do
    mount --bind "$disk/$folder" "/$folder"
done
mount -t tmpfs -o mode=755 tmpfs /home
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/sshd /run/lock

# -r: a connection is served by a copy of sshd, not by sshd started anew, which takes 8 ms longer.
# sshd writes its pid when it has bound its port. The pid file is a pipe, so that reading it waits
# for exactly that; an sshd that ends before it gets there says so itself.
serve() {
    /usr/sbin/sshd -D -e -r </dev/null >>/var/log/sshd.log 2>&1 || true
    if [ -p /run/sshd.pid ]; then echo ended >/run/sshd.pid; fi
}

said=
while :; do
    mkfifo /run/sshd.pid
    serve &
    read -r pid </run/sshd.pid
    rm -f /run/sshd.pid
    if [ "$pid" = ended ]; then
        [ -n "$said" ] || { tail -n 3 /var/log/sshd.log; exit 1; }
        sleep 1 # a broken sshd_config: do not spin while the learner mends it
    elif [ -z "$said" ]; then
        said=yes
        echo ready
        exec >/dev/null 2>&1
    fi
    wait $! || true # also reaps whatever lost its parent
done
