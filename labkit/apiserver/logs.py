"""`kubectl logs`: a log is not in the store, it is on the node where the pod runs.

The server checks what is asked, finds the node and passes on what its kubelet says, as it comes.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import AsyncGenerator, Mapping

from labkit.apiserver import kubelets, request_info, status, store
from labkit.apiserver.call import Call, Stream
from labkit.apiserver.status import Cause
from labkit.model import resources

_TEXT = "text/plain"
_OPTIONS = resources.Resource("PodLogOptions", "pods/log")
#: What is passed on to the kubelet.
_FLAGS = ("follow", "previous", "timestamps")
_LOWEST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}


async def read(nodes: kubelets.Kubelets, objects: store.Store, call: Call) -> Stream:
    """Raises ApiError, in kube-apiserver's words or in the kubelet's."""
    options = parse_options(call.info.name, call.query)
    place = kubelets.find_place(objects, call)
    if not place.port:
        return Stream(_nothing(), _TEXT)  # as kube-apiserver: nothing has been said yet
    target = place.target("containerLogs", urllib.parse.urlencode(options))
    pieces = nodes.fetch(place, target)
    # The first piece comes when the kubelet has agreed: until then all can still be refused.
    await anext(pieces)
    return Stream(pieces, _TEXT)


def parse_options(name: str, query: Mapping[str, str]) -> dict[str, str]:
    """What the kubelet is to be asked. Raises ApiError 400 and 422."""
    options = {flag: "true" for flag in _FLAGS if request_info.is_true(query.get(flag))}
    causes = []
    for parameter, lowest in _LOWEST.items():
        if parameter in query:
            value = _integer(parameter, query[parameter])
            options[parameter] = str(value)
            if value < lowest:
                must = "greater than or equal to 0" if lowest == 0 else "greater than 0"
                message = f"Invalid value: {value}: must be {must}"
                causes.append(Cause("FieldValueInvalid", message, parameter))
    if "sinceTime" in query:
        options["sinceTime"] = query["sinceTime"]
        if "sinceSeconds" in query:
            message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            causes.append(Cause("FieldValueForbidden", message, "sinceSeconds"))
    if causes:
        raise status.invalid(_OPTIONS, name, causes)
    return options


def _integer(parameter: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise status.bad_request(
            f'strconv.ParseInt: parsing "{text}": invalid syntax in {parameter}'
        ) from None


async def _nothing() -> AsyncGenerator[bytes]:
    yield b""
