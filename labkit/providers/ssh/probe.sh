# What a host is like, one `word value` a line. Changes nothing: what the kernel can do is tried in a
# network namespace that ends with the command.
mark=/var/lib/labkit.mark
echo "uid $(id -u)"
echo "clock $(date +%s)"
echo "python $(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
echo "iptables $(iptables -V 2>/dev/null)"
for each in ip iptables iptables-save iptables-restore ss conntrack tar flock setsid sha256sum unshare; do
    command -v "$each" >/dev/null || echo "lacks $each"
done
ip -o -4 address show | while read -r _ _ _ address _; do echo "address $address"; done
ip -4 route show | while read -r network _; do echo "route $network"; done
ss -Hltn | while read -r _ _ _ local _; do echo "listens ${local##*:}"; done
! ip link show cbr0 >/dev/null 2>&1 || echo "link cbr0"
iptables-save -t nat 2>/dev/null | sed -n 's/^:\(KUBE-[^ ]*\) .*/chain \1/p'
for each in /etc/labkit /var/lib/labkit /run/labkit; do [ ! -e "$each" ] || echo "left $each"; done
trouble=$(unshare -n sh -c '
    set -e
    ip link add lk0 type bridge
    ip link add lk1 type veth peer name lk2
    iptables -t nat -A OUTPUT -p tcp -m comment --comment labkit -m tcp --dport 1 -j DNAT --to-destination 127.0.0.1:1
    iptables -t nat -A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j REDIRECT --to-ports 1
' 2>&1) || echo "kernel $(echo "$trouble" | tail -n 1)"
[ ! -f "$mark" ] || sed 's/^/mark-/' "$mark"
