"""`kubectl exec`: what the server checks before kubelet and client talk to each other alone.

    GET …/pods/app1-1/exec?command=ls&stdout=true     what the client asks
    GET /exec/default/app1-1/echo?command=ls&output=1     what the kubelet is asked

Clients until kubectl 1.30 ask with POST for SPDY, a protocol that is no longer used elsewhere; the
kubelet says what it makes of that. The same goes for `attach` and `port-forward`, where there is
nothing to be asked beyond the pod.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse, Response

from labkit.apiserver import kubelets, request_info, status, store, upgrade
from labkit.apiserver.call import Call

RESOURCES = ("pods/attach", "pods/exec", "pods/portforward")
#: What the client calls a stream, and what the kubelet does.
_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
#: The first word of the path that the kubelet is asked.
_VERBS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}
#: What the two ends need of the request to agree on a protocol.
_PASSED_ON = (
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "x-stream-protocol-version",
)


async def join(
    nodes: kubelets.Kubelets,
    objects: store.Store,
    call: Call,
    method: str,
    headers: Mapping[str, str],
) -> Response:
    """Raises ApiError."""
    forward = call.info.subresource == "portforward"
    place = kubelets.find_place(objects, call, whole_pod=forward)
    if not place.port:
        raise status.bad_request(f"pod {call.info.name} does not have a host assigned")
    if "upgrade" not in headers:
        raise status.bad_request("Upgrade request required")
    kept = {name: headers[name] for name in _PASSED_ON if name in headers}
    target = place.target(_VERBS[call.info.subresource], plan_query(call.query))
    try:
        switched = await nodes.switch(place, method, target, kept)
    except kubelets.Refused as refused:
        return PlainTextResponse(str(refused), refused.code)
    return upgrade.TunnelResponse(switched.head, (switched.reader, switched.writer))


def plan_query(asked: Mapping[str, str]) -> str:
    """The same question in the kubelet's words."""
    words = [
        (theirs, "1") for ours, theirs in _STREAMS.items() if request_info.is_true(asked.get(ours))
    ]
    commands = asked.getlist("command") if isinstance(asked, QueryParams) else []
    return urllib.parse.urlencode([("command", each) for each in commands] + words)
