"""The grammar of the lab file: fields are its keys, defaults its defaults.

Each type carries the sentence that a person reads after a bad value.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from labkit import system
from labkit.model import flags, spec

PROVIDERS = ("netns", "vagrant", "ssh")
VAGRANT_PROVIDERS = (
    "libvirt",
    "virtualbox",
    "vmware_desktop",
    "parallels",
    "hyperv",
    "qemu",
    "lxc",
)
ROLES = ("control-plane", "worker")
PROXY_MODES = ("userspace",)

#: kube-proxy's flags that the agent knows and a person may set.
PROXY_FLAGS = tuple(flag.name for flag in flags.FLAGS if not flag.set_by)
#: Those that labkit sets, each with where its value comes from.
OWN_FLAGS = {flag.name: flag.set_by for flag in flags.FLAGS if flag.set_by}

Flag = str | int | float | bool


def _allowed(sentence: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=sentence, **limits)


Count = Annotated[int, _allowed("a whole number from 1 to 80", ge=1, le=80)]
CountOrNone = Annotated[int, _allowed("a whole number from 0 to 50", ge=0, le=50)]
Network = Annotated[str, _allowed('an IPv4 network such as "10.244.0.0/16"')]
PortRange = Annotated[str, _allowed('two ports from 1 to 65535 such as "30000-32767"')]
Addresses = Annotated[
    str, _allowed('addresses such as "192.168.56.200-192.168.56.239", or "192.168.56.208/28"')
]
Name = Annotated[str, _allowed("1 to 28 lower-case letters, digits and hyphens")]
KubeconfigPath = Annotated[str, _allowed("the path of a kubeconfig; none: the lab's own server")]
Context = Annotated[str, _allowed("the name of a context in the kubeconfig")]
Provider = Annotated[str, _allowed(" or ".join(f'"{name}"' for name in PROVIDERS))]
ProxyMode = Annotated[str, _allowed(" or ".join(f'"{mode}"' for mode in PROXY_MODES))]
VagrantProvider = Annotated[
    str, _allowed("one of " + ", ".join(f'"{name}"' for name in VAGRANT_PROVIDERS))
]
Box = Annotated[str, _allowed('a box\'s name such as "debian/bookworm64"')]
Version = Annotated[str, _allowed('a box\'s version such as "12.20250126.1"')]
Memory = Annotated[int, _allowed("MiB for each machine, from 256 to 65536", ge=256, le=65536)]
Cpus = Annotated[int, _allowed("a whole number from 1 to 16", ge=1, le=16)]
Options = Annotated[
    dict[str, str | int | bool],
    _allowed("a table of settings of Vagrant's provider, each a string, a number or a boolean"),
]
Role = Annotated[str, _allowed(" or ".join(f'"{name}"' for name in ROLES))]
HostName = Annotated[str, _allowed("a node's name: lower-case letters, digits and hyphens")]
HostAddress = Annotated[str, _allowed("the host's IPv4 address")]
Port = Annotated[int, _allowed("a port from 1 to 65535", ge=1, le=65535)]
User = Annotated[str, _allowed("a user who is root, or may `sudo -n`")]
KeyPath = Annotated[str, _allowed("the path of a private key; none: the lab's own key")]
HostKey = Annotated[
    str, _allowed('a public key such as "ssh-ed25519 AAAA..."; none: your known_hosts says')
]
FlagTable = Annotated[
    dict[str, Flag], _allowed("a table of kube-proxy's flags, each a string, a number or a boolean")
]


class Nodes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[nodes]`: how many machines beside `control`; clients are outside the cluster."""

    workers: Count = 2
    clients: CountOrNone = 1


class Networks(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[network]`: the three networks, and what Services get: ports on nodes, addresses."""

    machines: Network = "192.168.56.0/24"
    pods: Network = "10.244.0.0/16"
    services: Network = "10.96.0.0/16"
    node_ports: PortRange = "30000-32767"
    #: Empty: the machines' .200 to .239, whatever their network is.
    load_balancers: Addresses = ""


class Proxy(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[proxy]`: how the agent is started."""

    mode: ProxyMode = "userspace"
    flags: FlagTable = {}


class ControlPlane(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[control_plane]`: a kubeconfig, where another API server is to be used than the lab's."""

    kubeconfig: KubeconfigPath = ""
    context: Context = ""


class Vagrant(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[vagrant]`: what makes the virtual machines; empty: what fits this machine."""

    provider: VagrantProvider = ""
    box: Box = ""
    box_version: Version = ""
    memory: Memory = 1024
    cpus: Cpus = 1
    options: Options = {}


class Host(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[[hosts]]`: a machine that exists already; the first is `control`, if none says so."""

    address: HostAddress
    name: HostName = ""
    role: Role = ""
    port: Port = 22
    user: User = "root"
    key: KeyPath = ""
    host_key: HostKey = ""


class LabFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    name: Name = spec.DEFAULT_NAME
    provider: Provider = msgspec.field(default_factory=system.default_provider)
    nodes: Nodes = Nodes()
    network: Networks = Networks()
    proxy: Proxy = Proxy()
    control_plane: ControlPlane = ControlPlane()
    vagrant: Vagrant = Vagrant()
    hosts: Annotated[tuple[Host, ...], _allowed("tables [[hosts]], each with an address")] = ()
