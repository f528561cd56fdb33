"""The lab file, `labkit.toml`: what a person may say about a lab, and how it is read.

Every key has a default, so no file is needed. This is all of it:

    name = "lab"
    provider = "netns"                 # or vagrant, ssh; but for Linux, vagrant is the default
    hosts = []

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

    [vagrant]                          # for provider = "vagrant"
    provider = ""                      # libvirt, virtualbox, ...; none: what fits this machine
    box = ""                           # none: a published one that fits
    box_version = ""
    memory = 1024                      # MiB for each machine
    cpus = 1
    options = {}                       # settings of Vagrant's provider, by their own names

    [proxy.flags]                      # kube-proxy's own flags, without the dashes
    udp-timeout = "250ms"

For `provider = "ssh"` there is a table for each machine, in place of `hosts = []`; all but the
address may be left out:

>   [[hosts]]
>   name = "control"                   # else control, node1, node2, ...
>   role = "control-plane"             # else the first one is
>   address = "192.0.2.10"
>   port = 22
>   user = "root"                      # or one who may `sudo -n`
>   key = ""                           # none: the lab's own key
>   host_key = ""                      # "ssh-ed25519 AAAA..."; none: your ~/.ssh/known_hosts says

`grammar` says what can be said; `reading` makes a LabSpec of it.
"""

from labkit.labfile.grammar import LabFile
from labkit.labfile.reading import load

__all__ = ["LabFile", "load"]
