"""Inspection: what is really there, read from the nodes, and which field of a Service made it.

    collect     one round trip per node, three requests to the API server
    sockets     who listens where
    nodes       the rules of a Service on one node, and what is missing there
    fields      port, targetPort, nodePort: what each is for
    endpoints   the pods behind a Service, and why there are none
    links       from each field to what it made on each node
    service     all of that in one value
    explain/    any rule in plain words, each match and each target
    modes/      what the rules alone say of each Service, in userspace and in iptables mode
    layers/     chains, rules, conntrack, sockets, connections of a node, one layer at a time
    predict/    where a request would go, from the rules alone
    journal     what a proxy's journal says of a connection, in words
    probe/      real requests, and the counters that they moved
    hold/       one connection that stays open, asked again and again
    trace/      one real request, followed over all machines and through the proxy
    events/     what happens everywhere, in one stream, as it happens
    capture/    packets of several nodes in one file
    scripts     what of ours runs on a machine, as a command
    hosts       a node of any cluster, over SSH
    changes     what is different between two looks
    ways        the five ways into a Service, and the requests that prove them
    probing     sends those requests
    proof       what moved, who answered, whom the pod saw

Everything is pure except `collect`, `layers.look`, `hosts`, `capture.taking`, `events.sources`, and
what sends: `probing`, `probe.sending`, `trace.tracing`. The same values can be made of saved text.
"""
