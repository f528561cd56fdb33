"""EndpointSlices: what Endpoints say, in slices of at most a hundred.

A Service with a thousand pods has one Endpoints object, which travels whole to every node whenever
one pod changes. Of its slices only the one travels that has changed. Every slice says by a label
which Service it belongs to; its name means nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
#: On Endpoints: no slices are to be made of them.
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"

_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
#: As kube-apiserver's: of endpoints in a slice, addresses of an endpoint, ports of a slice.
_MAX_ENDPOINTS, _MAX_ADDRESSES, _MAX_PORTS = 1000, 100, 20000
#: As kubectl: more ports or endpoints than this are only counted in the table.
_SHOWN = 3


def default(obj: resources.Object) -> None:
    for port in obj.get("ports") or []:
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def validate(obj: resources.Object, report: validation.Report) -> None:
    address_type = obj.get("addressType", "")
    report.one_of("addressType", address_type, _TYPES)
    endpoints, ports = obj.get("endpoints") or [], obj.get("ports") or []
    _check_size(report, "endpoints", endpoints, _MAX_ENDPOINTS)
    for index, endpoint in enumerate(endpoints):
        _validate_addresses(endpoint, address_type, f"endpoints[{index}].addresses", report)
    _check_size(report, "ports", ports, _MAX_PORTS)
    for index, port in enumerate(ports):
        if port["name"]:
            report.check(f"ports[{index}].name", port["name"], validation.dns_label(port["name"]))
        report.one_of(f"ports[{index}].protocol", port["protocol"], _PROTOCOLS)
    validation.check_unique(report, "ports", "name", ports)


def _validate_addresses(
    endpoint: resources.Object, address_type: str, path: str, report: validation.Report
) -> None:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        report.required(path, "must contain at least 1 address")
    _check_size(report, path, addresses, _MAX_ADDRESSES)
    for index, address in enumerate(addresses):
        complaints = _complaints(address, address_type)
        report.check(f"{path}[{index}]", address, complaints)


def _complaints(address: str, address_type: str) -> list[str]:
    if address_type == "FQDN":
        return validation.dns_subdomain(address)
    if complaints := validation.ip_address(address):
        return complaints
    version = ipaddress.ip_address(address).version
    if f"IPv{version}" != address_type:
        return [f"must be an {address_type} address"]
    return validation.special_address(address)


def _check_size(report: validation.Report, path: str, items: Sequence[object], limit: int) -> None:
    if len(items) > limit:
        report.add("FieldValueTooMany", path, f"Too many: {len(items)}", f"at most {limit} items")


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    if new["addressType"] != old["addressType"]:
        report.invalid("addressType", new["addressType"], "field is immutable")


def _few(words: list[str]) -> str:
    more = f" + {len(words) - _SHOWN} more..." if len(words) > _SHOWN else ""
    return (",".join(words[:_SHOWN]) + more) or "<unset>"


def row(obj: resources.Object, now: float) -> list[tables.Cell]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or []]
    addresses = [a for endpoint in obj.get("endpoints") or [] for a in endpoint["addresses"]]
    return [
        tables.name_of(obj),
        obj["addressType"],
        _few(ports),
        _few(addresses),
        tables.age_of(obj, now),
    ]


KIND = kind.Kind(
    resources.ENDPOINT_SLICES,
    columns=(
        tables.Column("Name"),
        tables.Column("AddressType"),
        tables.Column("Ports"),
        tables.Column("Endpoints"),
        tables.Column("Age"),
    ),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    has_status=False,
)
