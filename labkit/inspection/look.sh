# What inspection reads from one node, in one round trip. Only reads; needs root for the counters
# and for the names of the processes. Each section begins with a line that no command here writes;
# a command that fails says so in its section, and why on stderr.

section() {
    name=$1
    shift
    echo "--- labkit $name"
    "$@" || echo "--- labkit failed $name $?"
}

listening() { sockets=$(ss -Hltnup) && printf '%s\n' "$sockets"; }

# The pid and the command line of each process that listens. One may end while we look.
processes() {
    for pid in $(printf '%s\n' "$sockets" | grep -o 'pid=[0-9]*' | sort -u); do
        pid=${pid#pid=}
        printf '%s %s\n' "$pid" "$(tr '\0\n' '  ' <"/proc/$pid/cmdline")"
    done 2>/dev/null
}

section nat iptables-save -c -t nat
section filter iptables-save -c -t filter
section sockets listening
section processes processes
