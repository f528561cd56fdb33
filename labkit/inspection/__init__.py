"""Inspection: what is really there, read from the nodes, and which field of a Service made it.

    collect     one round trip per node, three requests to the API server
    sockets     who listens where
    nodes       the rules of a Service on one node, and what is missing there
    fields      port, targetPort, nodePort: what each is for
    endpoints   the pods behind a Service, and why there are none
    service     all of that in one value
    ways        the five ways into a Service, and the requests that prove them
    probing     sends those requests
    proof       what moved, who answered, whom the pod saw

Everything is pure except `collect` and `probing`: the same values can be made from saved text.
"""
