"""What kube-proxy's rules make of each Service, read from the rules alone, in either of its modes.

    userspace   portals lead to a port of the proxy itself, which then chooses a pod
    iptables    a tree of chains chooses a pod and rewrites; the proxy sees no packet

Nobody is asked but the kernel: so this works on any node of any cluster, and on saved text.

    values      a port of a Service, its doors, its endpoints with their share
    conditions  what a door asks besides where the packet goes
    walk        through a tree of chains with 100 % of the traffic: where does it end?
    iptables    reads the one mode
    userspace   reads the other
    report      both, as one value that shows itself
"""
