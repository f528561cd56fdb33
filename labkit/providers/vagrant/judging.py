"""What the facts about this machine mean for a lab of Vagrant's: each finding with its cure.

Pure: the tests hand in machines that nobody here has. What is said here before anything starts is
what `faults` would say in the middle of `up`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface

from labkit import errors
from labkit.model import spec
from labkit.preflight.findings import Finding
from labkit.providers.base import MachineState
from labkit.providers.vagrant import machines
from labkit.providers.vagrant.survey import Facts

#: Where each of Vagrant's providers runs, best first.
SYSTEMS = {
    "libvirt": ("Linux",),
    "vmware_desktop": ("Linux", "macOS", "Windows"),
    "parallels": ("macOS",),
    "virtualbox": ("Linux", "macOS", "Windows"),
    "hyperv": ("Windows",),
    "qemu": ("macOS", "Linux"),
    "lxc": ("Linux",),
}
#: VirtualBox and Hyper-V are Vagrant's own; each of the others is a plugin.
PLUGINS = {
    "libvirt": "vagrant-libvirt",
    "vmware_desktop": "vagrant-vmware-desktop",
    "parallels": "vagrant-parallels",
    "qemu": "vagrant-qemu",
    "lxc": "vagrant-lxc",
}
#: How the links are called that a provider makes for its machines' networks, and by which this
#: machine is in them. Of VirtualBox and VMware, one network serves all labs.
LINKS = {"libvirt": "virbr", "lxc": "lk-", "virtualbox": "vboxnet", "vmware_desktop": "vmnet"}
SHARES_NETWORKS = ("virtualbox", "vmware_desktop")

_GET_VAGRANT = {
    "Linux": "sudo apt-get install vagrant vagrant-libvirt libvirt-daemon-system",
    "macOS": "brew install --cask hashicorp-vagrant",
    "Windows": "winget install Hashicorp.Vagrant",
}
_GET_SOFTWARE = {
    "Linux": "sudo apt-get install vagrant-libvirt libvirt-daemon-system libvirt-clients",
    "macOS": "install VirtualBox, VMware Fusion or Parallels Desktop",
    "Windows": "winget install Oracle.VirtualBox",
}


def judge(
    facts: Facts, lab: spec.LabSpec, states: Mapping[str, MachineState] | None = None
) -> tuple[Finding, ...]:
    """All findings about the lab here, what everything else rests on first.

    `states` are those of the machines that the lab has already: these have their memory and disk.
    """
    states = states or {}
    room = tuple(_room(facts, lab, states))
    if not facts.vagrant:
        fix = _GET_VAGRANT.get(facts.system, "see https://developer.hashicorp.com/vagrant/install")
        return (Finding("vagrant", "blocked", "Vagrant is not installed", fix), *room)
    provider = machines.choose_provider(
        lab.vagrant.provider, lambda program: _is_here(facts, program)
    )
    found = _explain_provider(facts, lab.vagrant.provider, provider)
    if not found.ok:
        return (found, *room)
    return (
        found,
        *_explain_plugin(facts, provider),
        *_explain_virtualisation(facts, provider),
        _explain_box(facts, provider, lab.vagrant),
        _explain_network(facts, lab, provider, is_made=bool(set(states.values()) - {"absent"})),
        *room,
    )


def _is_here(facts: Facts, program: str) -> bool:
    return any(machines.PROGRAMS[name] == program for name in facts.software)


def _explain_provider(facts: Facts, wanted: str, provider: str) -> Finding:
    here = f"{facts.system}, {facts.architecture}"
    if wanted and facts.system not in SYSTEMS[wanted]:
        others = ", ".join(name for name, where in SYSTEMS.items() if facts.system in where)
        what = f"{wanted} does not run here ({here})"
        return Finding("vagrant-provider", "blocked", what, f"[vagrant] provider: one of {others}")
    if not provider or provider not in facts.software:
        what = f"{wanted} is not installed" if wanted else "Vagrant has no provider to use here"
        return Finding("vagrant-provider", "blocked", what, _GET_SOFTWARE.get(facts.system, ""))
    return Finding("vagrant-provider", "fine", f"Vagrant makes the machines by {provider} ({here})")


def _explain_plugin(facts: Facts, provider: str) -> Iterator[Finding]:
    plugin = PLUGINS.get(provider)
    if plugin and plugin not in facts.plugins:
        fix = f"vagrant plugin install {plugin}"
        yield Finding("vagrant-plugin", "blocked", f"Vagrant has no plugin {plugin}", fix)


def _explain_virtualisation(facts: Facts, provider: str) -> Iterator[Finding]:
    """Only Linux says so beforehand; containers, and machines that are emulated, need none.

    The Vagrantfile lets libvirt emulate where this user cannot use KVM: slow, but it works.
    """
    if facts.kvm in (None, "usable") or provider in ("lxc", "qemu"):
        return
    if facts.kvm == "forbidden" and provider != "libvirt":
        return  # the others have a way of their own to the processor
    if facts.kvm == "forbidden":
        what, fix = "/dev/kvm is not yours to use", 'sudo usermod -aG kvm "$USER", then log in anew'
    else:
        what = "this machine offers no virtualisation: there is no /dev/kvm"
        fix = "switch VT-x or AMD-V on in the firmware, then `sudo modprobe kvm_intel` or `kvm_amd`"
    what += "; libvirt emulates the machines, which is slow" if provider == "libvirt" else ""
    yield Finding("virtualisation", "warning", what, fix)


def _explain_box(facts: Facts, provider: str, wanted: spec.VagrantSpec) -> Finding:
    name = wanted.box or default_box(machines.read_vagrantfile(), provider)
    fitting = [
        box
        for box in facts.boxes
        if box.name == name and box.provider == provider
        if not wanted.box_version or box.version == wanted.box_version
    ]
    build = f"offline: `labkit box build --provider {provider}` makes one here, and "
    build = build if provider in ("libvirt", "virtualbox", "lxc") else "offline: "
    if not fitting:
        what = f"the box {name} is not on this machine; `up` would download it"
        return Finding("box", "warning", what, f"{build}`labkit box add FILE` brings one")
    if all(box.architecture not in ("", facts.architecture) for box in fitting):
        what = f"the box {name} is for {fitting[0].architecture}; this machine is "
        what += facts.architecture
        fix = f"vagrant box add {name} --provider {provider} --architecture {facts.architecture}"
        return Finding("box", "blocked", what, fix)
    return Finding("box", "fine", f"the box {name} is on this machine: {fitting[-1].version}")


def default_box(vagrantfile: str, provider: str) -> str:
    """The box that the Vagrantfile takes for this provider where nobody names one."""
    named = dict(re.findall(r'^  "(\w+)" => "([^"]+)"', vagrantfile, re.MULTILINE))
    usual = re.search(r'^BOXES\.default = "([^"]+)"', vagrantfile, re.MULTILINE)
    return named.get(provider) or (usual[1] if usual else "")


def _explain_network(facts: Facts, lab: spec.LabSpec, provider: str, *, is_made: bool) -> Finding:
    wanted = lab.machine_network
    serves = is_made or provider in SHARES_NETWORKS
    for link, address in facts.addresses:
        if serves and _is_labs_own(link, address, lab, provider):
            continue
        if address.network.overlaps(wanted):
            what = f"the lab's network {wanted} clashes with {address} on {link}"
            fix = 'another [network] machines, such as "192.168.60.0/24"'
            return Finding("machine-network", "blocked", what, fix)
    return Finding("machine-network", "fine", f"nothing here has addresses in {wanted}")


def _is_labs_own(link: str, address: IPv4Interface, lab: spec.LabSpec, provider: str) -> bool:
    """True for the link by which this machine is in a network of the lab's machines."""
    here = IPv4Interface(f"{lab.learner_address}/{lab.machine_network.prefixlen}")
    return address == here and provider in LINKS and link.startswith(LINKS[provider])


def _room(facts: Facts, lab: spec.LabSpec, states: Mapping[str, MachineState]) -> Iterator[Finding]:
    """By the very check that `up` makes, so that both always say the same."""
    now = [states.get(node.name, "absent") for node in lab.machines]
    start, make = len(now) - now.count("running"), now.count("absent")
    for name, memory_mib, disk_mib in (
        ("memory", facts.memory_mib, make * machines.DISK_MIB),
        ("vagrant-disk", None, facts.disk_mib),
    ):
        try:
            machines.check_room(lab, start, make, memory_mib=memory_mib, disk_mib=disk_mib)
        except errors.ProviderError as error:
            yield Finding(name, "blocked", error.message, error.hint)
