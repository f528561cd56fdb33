# What inspection reads from one node, in one round trip. Only reads; needs root for the counters
# and for the names of the processes, by sudo where the user is another. Each section begins with a
# line that no command here writes; a command that fails says so in its section, and why on stderr.
#
#     sh look.sh                              nat, filter, sockets, processes
#     WANTED="rules conntrack" sh look.sh     other sections
#     ONLY=default/app1 sh look.sh            of nat and filter: no rules of other Services
#     PODS="default_app1-1" sh look.sh        and who listens in these network namespaces of pods

me=$(id -u)
root() { if [ "$me" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

section() {
    name=$1
    shift
    echo "--- labkit $name"
    "$@" || echo "--- labkit failed $name $?"
}

# A kernel has two sets of rules, each with its own programs. Where the older one is in use (to ask
# otherwise would load it) and kube-proxy's chains are only there, that one is read.
save() {
    if [ -z "$saver" ]; then
        saver=iptables-save
        if [ -n "$(root cat /proc/net/ip_tables_names 2>/dev/null)" ] &&
            command -v iptables-legacy-save >/dev/null &&
            ! root iptables-save | grep -q '^:KUBE-' &&
            root iptables-legacy-save | grep -q '^:KUBE-'; then
            saver=iptables-legacy-save
        fi
    fi
    root "$saver" -c "$@"
}

# A node of a thousand Services has 300 KB of rules; those of one Service, and what is no Service's,
# are 3 KB.
save_only() {
    if [ -z "$ONLY" ]; then
        save "$@"
    else
        saved=$(save "$@") && printf '%s\n' "$saved" |
            sed "\\,--comment \"[^/ \"]*/[^/ \"]*\",{\\,--comment \"$ONLY[:\"],!d}"
    fi
}

listening() { sockets=$(root ss -Hltnup) && printf '%s\n' "$sockets"; }

# Of those pods that are on this node, each under its name. One may end while we look.
pods_listening() {
    for pod in $PODS; do
        [ -e "/run/netns/$pod" ] &&
            sockets=$(root nsenter --net="/run/netns/$pod" ss -Hltnu) &&
            printf 'pod %s\n%s\n' "$pod" "$sockets"
    done
    :
}

# The pid and the command line of each process that listens. One may end while we look.
processes() {
    for pid in $(printf '%s\n' "$sockets" | grep -o 'pid=[0-9]*' | sort -u); do
        pid=${pid#pid=}
        printf '%s %s\n' "$pid" "$(tr '\0\n' '  ' <"/proc/$pid/cmdline")"
    done 2>/dev/null
}

conntrack_entries() { root conntrack -L -o extended 2>/dev/null || root cat /proc/net/nf_conntrack; }

facts() {
    echo "hostname $(hostname)"
    echo "kernel $(uname -sr)"
    echo "iptables $(root iptables --version 2>/dev/null | cut -d' ' -f2-)"
    for file in ip_forward ip_nonlocal_bind; do
        echo "$file $(cat /proc/sys/net/ipv4/$file)"
    done
    for file in nf_conntrack_count nf_conntrack_max; do
        echo "$file $(cat /proc/sys/net/netfilter/$file 2>/dev/null || echo unknown)"
    done
    ip -4 -o address show | while read -r _ interface _ address _; do
        echo "address-$interface $address"
    done
}

for wanted in ${WANTED:-nat filter sockets processes ${PODS:+pods}}; do
    case $wanted in
    nat | filter) section "$wanted" save_only -t "$wanted" ;;
    rules) section rules save ;;
    sockets) section sockets listening ;;
    processes) section processes processes ;;
    pods) section pods pods_listening ;;
    conntrack) section conntrack conntrack_entries ;;
    connections) section connections root ss -Htnp state established ;;
    facts) section facts facts ;;
    esac
done
