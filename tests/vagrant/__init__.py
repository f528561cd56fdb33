"""Real virtual machines, here, without touching this machine: libvirt in namespaces of its own.

    python -m tests.vagrant bash                    a shell in which vagrant and virsh work
    python -m tests.vagrant labkit up --provider vagrant
    python -m pytest -m vagrant                     the whole lab on three machines, from end to end

libvirtd makes bridges, taps, addresses and firewall rules. In here it makes them in a network
namespace, keeps its state in folders that only its mount namespace sees, and ends with the process
namespace: whatever happens, nothing is left. Where the processor's own virtualisation is not to be
had, QEMU emulates one.
"""
