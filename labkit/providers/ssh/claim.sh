# Put the lab's mark on this host: $1 is the lab's id, $2 its name. With it goes what the host was
# like, for `leave`. A host that bears a mark keeps it; whose it is then, is said on stdout.
mark=/var/lib/labkit.mark
value() { cat "/proc/sys/net/$1" 2>/dev/null; }
set -eu
{
    echo "id $1"
    echo "lab $2"
    for each in ipv4/ip_forward bridge/bridge-nf-call-iptables; do
        [ ! -e "/proc/sys/net/$each" ] || echo "sysctl $each $(value "$each")"
    done
    for each in /run/netns /var/log/pods; do [ -e "$each" ] || echo "absent $each"; done
    ip -4 route show default | sed 's/^/default /'
} >"$mark.$1"
ln "$mark.$1" "$mark" 2>/dev/null || true # never over another's
rm -f "$mark.$1"
sed -n 's/^id //p' "$mark"
