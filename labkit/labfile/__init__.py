"""The lab file, `labkit.toml`: what a person may say about a lab, and how it is read.

Every key has a default, so no file is needed. This is all of it:

    name = "lab"
    provider = "netns"

    [nodes]
    workers = 2
    clients = 1

    [network]
    machines = "192.168.56.0/24"
    pods = "10.244.0.0/16"
    services = "10.96.0.0/16"
    node_ports = "30000-32767"
    load_balancers = ""                # "FIRST-LAST" or a network; none: the machines' .200 to .239

    [proxy]
    mode = "userspace"

    [control_plane]                    # another API server than the lab's own
    kubeconfig = ""                    # its kubeconfig; a relative path begins at this file
    context = ""                       # one of its contexts; none: the current one

    [proxy.flags]                      # kube-proxy's own flags, without the dashes
    udp-timeout = "250ms"

`grammar` says what can be said; `reading` makes a LabSpec of it.
"""

from labkit.labfile.grammar import LabFile
from labkit.labfile.reading import load

__all__ = ["LabFile", "load"]
