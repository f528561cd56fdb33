"""What the API server and a node's kubelet agree on: where it listens, and who may ask it."""

from __future__ import annotations

from collections.abc import Mapping

PORT = 10250
#: The common name in the certificate that the API server shows. A kubelet answers nobody else.
CLIENT = "kube-apiserver-kubelet-client"

#: On a Node: the addresses of load balancers for which it answers, apart from its own.
ANNOUNCED = "labkit.dev/announced-addresses"


def parse_announced(annotations: Mapping[str, str] | None) -> tuple[str, ...]:
    """The addresses that a Node's annotations tell it to answer for.

    >>> parse_announced({ANNOUNCED: "192.168.56.200,192.168.56.201"})
    ('192.168.56.200', '192.168.56.201')
    """
    text = (annotations or {}).get(ANNOUNCED, "")
    return tuple(address for address in text.split(",") if address)
