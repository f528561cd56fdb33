"""The node's mini kubelet: it makes the pods that the API server binds to this node.

    main        the program: flags, start, stop, --cleanup
    worker      the loop: what happened, what is due, what to do about it
    pods        what to do next for one pod (pure)
    status      what the API is told about a pod (pure)
    node        what the API is told about the node
    lease       the heartbeat
    announce    the addresses of load balancers for which this node answers
    network     the bridge, a pod's wire to it, the routes to other nodes' pods
    runtime     a container: a process in the pod's namespaces
    images      the built-in images, and what cannot be run here
    probes      is it alive, is it ready
    logs        which part of which file answers `kubectl logs`
    follow      reading a log that grows
    trimming    keeping a log from growing for ever
    log_server  the port at which the API server asks for logs, and for programs to be run
    sessions    a program that is run beside a container's own: `kubectl exec`
    forward     connections into a pod's network: `kubectl port-forward`
    state       what is remembered, so that a restarted podlet finds its pods again
    outbox      what is yet to be told to the API server
    echo        the program of the image labkit/echo

A pod is two things: a network namespace that hangs on the node's bridge, and processes in it. All
of it can be seen with `ip netns`, `ip link`, `ps` and `cat /var/log/pods/*/*/*`.
"""
