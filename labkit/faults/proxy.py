"""Faults in the proxy itself: its rules turn every packet to a process that is not well."""

from __future__ import annotations

from labkit.faults import facts
from labkit.faults.fault import Change, Fault, shell
from labkit.faults.rules import from_host, from_outside

KUBECONFIG = "/etc/labkit/kube-proxy.kubeconfig"
_ASIDE = f"{KUBECONFIG}.aside"
#: The process that the supervisor, or systemd, has started: $pid.
_PID = """\
if read -r _ _ _ pid _ 2>/dev/null </run/labkit/kube-proxy.pid; then :
else pid=$(systemctl show -p MainPID --value labkit-kube-proxy); fi
"""


def signal(number: str) -> str:
    """A few lines of sh that send a signal to the node's kube-proxy, if it runs."""
    return f'{_PID}[ "${{pid:-0}}" -eq 0 ] || kill -{number} "$pid" 2>/dev/null || true'


def replace_kubeconfig(f: facts.Facts, text: str) -> Change:
    """kube-proxy starts again with `text` for a kubeconfig; without any, if it is empty."""
    put = f"cat >{KUBECONFIG}; chmod 600 {KUBECONFIG}\n" if text else ""
    do = f"set -e; mv {KUBECONFIG} {_ASIDE}\n{put}{signal('KILL')}"
    undo = f"[ ! -e {_ASIDE} ] || {{ mv {_ASIDE} {KUBECONFIG}\n{signal('KILL')}; }}"
    node = f.node.name
    return Change(
        do=(shell(node, do, stdin=text),),
        undo=(shell(node, undo),),
        asks=(from_outside(f), from_host(f)),
    )


def _dead(f: facts.Facts) -> Change:
    return replace_kubeconfig(f, "")


def _hung(f: facts.Facts) -> Change:
    return Change(
        do=(shell(f.node.name, signal("STOP")),),
        undo=(shell(f.node.name, signal("CONT")),),
        asks=(from_outside(f), from_host(f)),
    )


FAULTS = (
    Fault(
        id="proxy-dead",
        layer="proxy",
        title="kube-proxy does not run: its kubeconfig is gone, and each start ends at once",
        symptom="Whoever asks by this node is refused at once; other nodes answer.",
        cause="A file that was moved, or that a clean-up took away. The rules stay without it, "
        "and lead to a port where nobody listens. The log says why each start ends.",
        plan=_dead,
        redraws=("ports",),
    ),
    Fault(
        id="proxy-hung",
        layer="proxy",
        title="kube-proxy hangs: the process is stopped",
        symptom="Whoever asks by this node is connected, and then waits in vain.",
        cause="A debugger, a frozen cgroup, a disk that does not answer. The kernel still accepts "
        "connections for it; `ps` shows the state T, or D.",
        plan=_hung,
    ),
)
