"""What Vagrant says when something fails, and what to do about it.

Vagrant ends with 1 for everything; only its words tell. They are looked for here, once. Words that
nobody has thought of end as a ProviderError with Vagrant's own last lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from labkit import errors

_LAST_LINES = 6


@dataclass(frozen=True, slots=True)
class Fault:
    """A pattern in Vagrant's words, and what it means. `{0}`, `{1}` are the pattern's groups."""

    pattern: str
    kind: type[errors.LabkitError]
    message: str
    hint: str


#: The first that matches counts: what is more telling stands first.
FAULTS = (
    Fault(
        r"No space left on device|VERR_DISK_FULL|not enough (?:free )?(?:disk )?space",
        errors.DiskFull,
        "the disk is full",
        "make room, then `labkit up` goes on",
    ),
    Fault(
        r"another process is already executing an action|machine because it is locked",
        errors.Busy,
        "another `vagrant` is working on a machine of this lab",
        "wait for it to end, then try again",
    ),
    Fault(
        r"[Pp]rovider '([^']+)' could not be found",
        errors.NotSupported,
        "Vagrant has no provider {0}",
        "`vagrant plugin install vagrant-{0}`, or on Debian `apt-get install vagrant-{0}`",
    ),
    Fault(
        r"No usable default provider|is not usable on this|provider '[^']+' that was requested",
        errors.NotSupported,
        "Vagrant finds no provider that it could use here",
        "install one, VirtualBox or libvirt; `labkit doctor` says which this machine can use",
    ),
    Fault(
        r"VT-x is (?:not available|disabled)|VERR_VMX|VERR_SVM|[Cc]ould not access KVM"
        r"|KVM[^\n]*not (?:available|supported)|domain[- ]?type[^\n]*kvm",
        errors.NotSupported,
        "this machine offers no virtualisation",
        "switch it on in the firmware; without it, libvirt can emulate, or use `--provider netns`",
    ),
    Fault(
        r"[Bb]ox '([^']+)' could not be found|box you'?re attempting to add"
        r"|(?:Could not|Couldn't) resolve host|[Ee]rror (?:occurred )?while downloading"
        r"|isn't available for the provider",
        errors.ProviderError,
        "the box is not to be had",
        "offline, `labkit box build` makes one and `labkit box add` brings one; "
        "[vagrant] box names it",
    ),
    Fault(
        r"host-only network[^\n]*(?:conflict|collid|overlap|not within)"
        r"|IP address[^\n]*not within the\s+allowed ranges|[Nn]etwork[^\n]*already in use"
        r"|network[^\n]*(?:collides|overlaps|conflicts)|does not match with network name",
        errors.ProviderError,
        "the lab's network clashes with one that this machine has",
        'another [network] machines, such as "192.168.60.0/24", or end what has the addresses',
    ),
    Fault(
        r"[Cc]annot allocate memory|VERR_NO_MEMORY|[Nn]ot enough (?:physical )?memory",
        errors.ProviderError,
        "there is not enough memory for the machines",
        "end other programs, or say less under [vagrant] memory",
    ),
    Fault(
        r"Timed out while waiting for the machine to boot|never reported|machine didn't boot",
        errors.TimedOut,
        "a machine was started and did not answer",
        "`labkit up` tries again; the provider's own window or `virsh console` shows how it boots",
    ),
    Fault(
        r"SSH authentication failed|[Aa]uthentication failure",
        errors.ConnectionFailed,
        "a machine does not accept the lab's key, nor Vagrant's",
        "`labkit down --purge` and `labkit up` make the machines and keys again",
    ),
    Fault(
        r"[Nn]ame [`']?([-\w]+)[`']? of domain about to create is already taken"
        r"|VirtualBox machine with the name '([^']+)' already exists"
        r"|machine with the name '?([-\w]+)'? already exists",
        errors.Busy,
        "another lab has a machine {0}, or one that was killed left it",
        "choose another `name` for this lab, or remove that machine by the provider's own program "
        "(`virsh undefine --remove-all-storage {0}`, `VBoxManage unregistervm --delete {0}`)",
    ),
    Fault(
        r"doesn't support snapshots|not support[^\n]*snapshot|snapshot[^\n]*not (?:be )?supported",
        errors.NotSupported,
        "this provider of Vagrant's takes no snapshots",
        "libvirt, virtualbox, vmware_desktop, parallels and hyperv do",
    ),
    Fault(
        r"snapshot[^\n]*(?:not found|does(?:n't| not) exist)",
        errors.NothingMatched,
        "there is no such snapshot",
        "`labkit snapshot ls` lists them",
    ),
)


def explain(said: str, verb: str) -> errors.LabkitError:
    """The error for what `vagrant VERB` wrote before it failed."""
    flat = re.sub(r"[ \t]*\n[ \t]*(?=\S)", " ", said)  # Vagrant breaks its lines at 80 columns
    for fault in FAULTS:
        found = re.search(fault.pattern, said) or re.search(fault.pattern, flat)
        if found:
            word = next((group for group in found.groups() if group), "")
            error = fault.kind(fault.message.format(word).strip(), hint=fault.hint.format(word))
            error.add_note(_last_lines(said))
            return error
    return errors.ProviderError(
        f"`vagrant {verb}` failed: {_last_lines(said) or 'it said nothing'}",
        hint="`labkit up` goes on from what is there; `labkit down --purge` removes all of it",
    )


def _last_lines(said: str) -> str:
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    # Ruby's own account of where it was, below what it says.
    lines = [line for line in lines if not re.search(r"\.rb:\d+:in `", line)]
    return "\n".join(lines[-_LAST_LINES:])
