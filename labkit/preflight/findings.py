"""What the facts about a machine mean for a lab: judged one by one, each with its cure.

Pure: the tests hand in machines that nobody here has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labkit.preflight import machine, packages

Verdict = Literal["fine", "warning", "blocked"]
Way = Literal["root", "rootless"]

#: A lab's own files take some 10 MB; the rest is room for what learners write on nodes.
DISK_NEEDED = 50 * 2**20
DISK_WANTED = 500 * 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `blocked` means that no lab can run here until `fix` is done."""

    id: str
    verdict: Verdict
    what: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        return self.verdict == "fine"

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "verdict": self.verdict, "what": self.what, "fix": self.fix}


def way(facts: machine.Machine) -> Way:
    """How namespaces are made here: root needs no user namespace."""
    return "root" if facts.root else "rootless"


def worst(findings: Sequence[Finding]) -> Verdict:
    """The verdict on the whole machine."""
    order: tuple[Verdict, ...] = ("fine", "warning", "blocked")
    return max((finding.verdict for finding in findings), key=order.index, default="fine")


def judge(facts: machine.Machine) -> tuple[Finding, ...]:
    """All findings, what everything else rests on first."""
    if facts.system != "Linux":
        return (_explain_system(facts),)
    return (
        _explain_packages(facts),
        *_explain_user(facts),
        *_explain_trials(facts),
        *judge_state(facts),
    )


def judge_state(facts: machine.Machine) -> tuple[Finding, ...]:
    """Room for what every lab keeps on the learner's machine, whatever makes its machines."""
    return _explain_disk(facts), _explain_runtime(facts)


def _explain_system(facts: machine.Machine) -> Finding:
    return Finding(
        "platform",
        "fine",
        f"this is {facts.system}: Vagrant makes the machines of a lab here; network namespaces and "
        "their holder are Linux's alone, and are not offered",
    )


def _explain_packages(facts: machine.Machine) -> Finding:
    missing = packages.plan_packages(facts.programs, rootless=not facts.root)
    if not missing:
        return Finding("packages", "fine", "every program that a lab needs is here")
    names = ", ".join(package.name for package in missing)
    return Finding(
        "packages",
        "warning" if facts.may_install else "blocked",
        f"Debian packages are missing: {names}",
        "`labkit doctor --fix` installs them" if facts.may_install else packages.by_hand(missing),
    )


def _explain_user(facts: machine.Machine) -> Iterator[Finding]:
    """What only a lab without root needs: a user namespace with a range of ids in it."""
    if facts.root:
        return
    if trouble := facts.trials.get("user-namespace"):
        yield Finding("user-namespace", "blocked", trouble, _why_no_user_namespace(facts))
        return
    if not facts.subordinate_ids:
        yield Finding(
            "subordinate-ids",
            "blocked",
            f"{facts.user} has no 65536 ids in /etc/subuid and /etc/subgid",
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + facts.user,
        )


def _why_no_user_namespace(facts: machine.Machine) -> str:
    """The setting that forbids it, as the command that allows it."""
    settings = facts.settings
    if settings.get("kernel.unprivileged_userns_clone") == "0":
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if settings.get("kernel.apparmor_restrict_unprivileged_userns") == "1":
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if settings.get("user.max_user_namespaces") == "0":
        return "sudo sysctl -w user.max_user_namespaces=15000"
    return _container_fix(facts) or "run labkit as root, or ask who runs this machine to allow it"


def _container_fix(facts: machine.Machine) -> str:
    return f"start the container with `{facts.container} run --privileged`" * bool(facts.container)


def _explain_trials(facts: machine.Machine) -> Iterator[Finding]:
    names = "network and mount namespaces"
    if trouble := facts.trials.get("namespaces"):
        fix = _container_fix(facts) or "root needs CAP_SYS_ADMIN and CAP_NET_ADMIN"
        if facts.subordinate_ids or facts.root:
            yield Finding("namespaces", "blocked", f"no {names}: {trouble}", fix)
        return
    yield Finding("namespaces", "fine", f"{names} can be made ({way(facts)})")
    for name, (what, fix) in _TRIED.items():
        if name in facts.trials:
            trouble = facts.trials[name]
            text = f"{what}: {trouble}" if trouble else what
            yield Finding(name, "blocked" if trouble else "fine", text, fix if trouble else "")


_TRIED = {
    "veth": ("links between namespaces (veth)", "sudo modprobe veth"),
    "bridge": ("bridges", "sudo modprobe bridge"),
    "nat": ("iptables' nat table", "sudo modprobe -a nf_tables nft_compat nf_nat xt_REDIRECT"),
}


def _explain_disk(facts: machine.Machine) -> Finding:
    size = f"{facts.free_bytes // 2**20} MB are free for {facts.state_folder}"
    if facts.free_bytes >= DISK_WANTED:
        return Finding("disk", "fine", size)
    verdict: Verdict = "warning" if facts.free_bytes >= DISK_NEEDED else "blocked"
    return Finding("disk", verdict, size, "free some, or set XDG_STATE_HOME to a larger disk")


def _explain_runtime(facts: machine.Machine) -> Finding:
    if facts.runtime_trouble:
        fix = "set XDG_RUNTIME_DIR to a folder of your own with mode 0700, or unset it"
        return Finding("runtime-folder", "blocked", facts.runtime_trouble, fix)
    return Finding("runtime-folder", "fine", "the folder for sockets is there")
