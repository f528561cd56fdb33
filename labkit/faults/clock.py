"""A fault of time: by a wrong clock, a certificate has expired.

All machines of a namespace lab have one clock, the learner's own (a time namespace moves the
monotonic clock, not the date), and virtual machines are set right by their host. So not the clock
is moved but the certificate: kube-proxy shows one that has run out a day ago, as it would be for a
server whose clock goes a year ahead of the node's.
"""

from __future__ import annotations

import datetime

from labkit import errors
from labkit.client import config
from labkit.faults import facts, proxy
from labkit.faults.fault import Change, Fault
from labkit.model import spec

#: Certificates are made valid from the day before on: this one ran out 23 hours ago.
_ONE_HOUR = datetime.timedelta(hours=1)


def _certificate_expired(f: facts.Facts) -> Change:
    from labkit.deploy import certificates  # costs 35 ms, and only this fault needs it

    try:
        authority = ((f.pki / "ca.crt").read_text(), (f.pki / "ca.key").read_text())
    except OSError as error:
        raise errors.NotSupported(
            "this lab has no certificate authority of its own: it uses another's API server"
        ) from error
    certificate, key = certificates.make_client(
        authority, f"system:kube-proxy:{f.node.name}", valid=_ONE_HOUR
    )
    server = f"https://{f.lab.control.address}:{spec.API_PORT}"
    access = config.ClientConfig(server, authority[0], cert_pem=certificate, key_pem=key)
    return proxy.replace_kubeconfig(f, config.render_kubeconfig(access, user="kube-proxy"))


FAULTS = (
    Fault(
        id="certificate-expired",
        layer="clock",
        title="kube-proxy's certificate has expired: the API server does not talk to it",
        symptom="Whoever asks by this node is refused at once; other nodes answer.",
        cause="Nobody renewed it, or a clock is wrong. kube-proxy runs, but learns of no Service, "
        "and so opens no port for the rules that stand. Its log says that the API server hung up; "
        "`openssl x509 -noout -dates` tells how long the certificate in its kubeconfig holds.",
        plan=_certificate_expired,
        redraws=("ports",),
    ),
)
