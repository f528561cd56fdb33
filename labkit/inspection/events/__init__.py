"""What happens in a lab, as it happens.

    event       one thing that happened, as a line and as JSON
    objects     what the API server's watches say: Services, endpoints, pods, nodes
    on_node     what runs on each node, and tells of its rules and of what its proxy carries
    told        what it tells, as events
    sources     each node and each kind of object, lost and found again
    following   all of them at once, in one stream

Nothing is asked again and again: the API server's watches stay open, the kernel announces each
change of its rules, and kube-proxy's journal is a stream.
"""
