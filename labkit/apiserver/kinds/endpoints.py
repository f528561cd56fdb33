"""Endpoints: where a Service's traffic may go.

The controller writes them; for a Service without a selector, a person does.
"""

from __future__ import annotations

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

_PROTOCOLS = ("SCTP", "TCP", "UDP")
#: As kubectl: more endpoints than this are only counted in the table.
_SHOWN = 3


def default(endpoints: resources.Object) -> None:
    for subset in endpoints.get("subsets") or []:
        for port in subset.get("ports") or []:
            port.setdefault("protocol", "TCP")


def validate(endpoints: resources.Object, report: validation.Report) -> None:
    for index, subset in enumerate(endpoints.get("subsets") or []):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            report.required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field) or []):
                _validate_address(address, f"{path}.{field}[{number}]", report)
        ports = subset.get("ports") or []
        for number, port in enumerate(ports):
            _validate_port(port, f"{path}.ports[{number}]", report, named=len(ports) > 1)


def _validate_address(address: resources.Object, path: str, report: validation.Report) -> None:
    text = address.get("ip", "")
    complaints = validation.ip_address(text) or validation.special_address(text)
    report.check(f"{path}.ip", text, complaints)


def _validate_port(
    port: resources.Object, path: str, report: validation.Report, *, named: bool
) -> None:
    if named and not port.get("name"):
        report.required(f"{path}.name")
    elif port.get("name"):
        report.check(f"{path}.name", port["name"], validation.dns_label(port["name"]))
    number = port.get("port", 0)
    report.check(f"{path}.port", number, validation.port_number(number))
    report.one_of(f"{path}.protocol", port["protocol"], _PROTOCOLS)


def render_endpoints(endpoints: resources.Object) -> str:
    """`10.244.1.2:8080,10.244.2.2:8080`, as the ENDPOINTS column has it: those that are ready."""
    shown = [
        f"{address['ip']}:{port['port']}" if port else address["ip"]
        for subset in endpoints.get("subsets") or []
        for port in subset.get("ports") or [None]
        for address in subset.get("addresses") or []
    ]
    more = f" + {len(shown) - _SHOWN} more..." if len(shown) > _SHOWN else ""
    return (",".join(shown[:_SHOWN]) + more) or "<none>"


def row(endpoints: resources.Object, now: float) -> list[tables.Cell]:
    return [tables.name_of(endpoints), render_endpoints(endpoints), tables.age_of(endpoints, now)]


KIND = kind.Kind(
    resources.ENDPOINTS,
    columns=(tables.Column("Name"), tables.Column("Endpoints"), tables.Column("Age")),
    row=row,
    default=default,
    validate=validate,
    has_status=False,
    create_on_update=True,
)
