"""What is wrong with an object, field by field, in the words that Kubernetes uses.

A `Report` collects; nothing here raises. The causes become one 422 Invalid with every mistake in
it, so that a learner mends a manifest once and not once for each mistake.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.apiserver.status import Cause


class Report:
    """The causes found so far, in the order in which they were found."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def add(self, reason: str, path: str, what: str, detail: str = "") -> None:
        message = f"{what}: {detail}" if detail else what
        self.causes.append(Cause(reason, message, path))

    def required(self, path: str, detail: str = "") -> None:
        self.add("FieldValueRequired", path, "Required value", detail)

    def invalid(self, path: str, value: Any, detail: str) -> None:
        self.add("FieldValueInvalid", path, f"Invalid value: {render_go(value)}", detail)

    def duplicate(self, path: str, value: Any, detail: str = "") -> None:
        self.add("FieldValueDuplicate", path, f"Duplicate value: {render_go(value)}", detail)

    def unsupported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        listed = ", ".join(json.dumps(item) for item in sorted(supported))
        what = f"Unsupported value: {render_go(value)}"
        self.add("FieldValueNotSupported", path, what, f"supported values: {listed}")

    def forbidden(self, path: str, detail: str) -> None:
        self.add("FieldValueForbidden", path, "Forbidden", detail)

    def missing(self, path: str, value: Any) -> None:
        self.add("FieldValueNotFound", path, f"Not found: {render_go(value)}")

    def check(self, path: str, value: Any, complaints: Iterable[str]) -> None:
        """One Invalid for each complaint."""
        for complaint in complaints:
            self.invalid(path, value, complaint)

    def one_of(self, path: str, value: str, supported: Iterable[str]) -> None:
        if not value:
            self.required(path)
        elif value not in supported:
            self.unsupported(path, value, supported)


class GoText(str):
    """A value already written the way Go would."""

    __slots__ = ()


def render_go(value: Any) -> str:
    """A value as Go's field errors print it.

    >>> render_go("a"), render_go(99), render_go(["a"])
    ('"a"', '99', '[]string{"a"}')
    """
    if isinstance(value, GoText):
        return str(value)
    if isinstance(value, list):
        return f"[]string{{{', '.join(render_go(item) for item in value)}}}"
    return json.dumps(value, ensure_ascii=False)


# --- names ---------------------------------------------------------------------------------------

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"


def _explain(message: str, pattern: str, *examples: str) -> str:
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {listed}regex used for validation is '{pattern}')"


def _check_pattern(value: str, pattern: str, limit: int, message: str) -> list[str]:
    complaints = []
    if len(value) > limit:
        complaints.append(f"must be no more than {limit} characters")
    if not re.fullmatch(pattern, value):
        complaints.append(message)
    return complaints


def dns_label(value: str) -> list[str]:
    message = _explain(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        "and must start and end with an alphanumeric character",
        _LABEL,
        "my-name",
        "123-abc",
    )
    return _check_pattern(value, _LABEL, 63, message)


def dns_subdomain(value: str) -> list[str]:
    message = _explain(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
        "'-' or '.', and must start and end with an alphanumeric character",
        _SUBDOMAIN,
        "example.com",
    )
    return _check_pattern(value, _SUBDOMAIN, 253, message)


def dns_label_1035(value: str) -> list[str]:
    """What a Service may be called: it becomes a DNS name and an environment variable."""
    message = _explain(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
        "an alphabetic character, and end with an alphanumeric character",
        _LABEL_1035,
        "my-name",
        "abc-123",
    )
    return _check_pattern(value, _LABEL_1035, 63, message)


def qualified_name(value: str) -> list[str]:
    """A label's or annotation's key: `name` or `prefix/name`."""
    prefix, slash, name = value.rpartition("/")
    complaints = [f"prefix part {text}" for text in (dns_subdomain(prefix) if slash else [])]
    if not name:
        return [*complaints, "name part must be non-empty"]
    message = _explain(
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
        "end with an alphanumeric character",
        _QUALIFIED,
        "MyName",
        "my.name",
        "123-abc",
    )
    if len(name) > 63:
        complaints.append("name part must be no more than 63 characters")
    return complaints + ([] if re.fullmatch(_QUALIFIED, name) else [message])


def label_value(value: str) -> list[str]:
    message = _explain(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
        "or '.', and must start and end with an alphanumeric character",
        _LABEL_VALUE,
        "MyValue",
        "my_value",
        "12345",
    )
    return _check_pattern(value, _LABEL_VALUE, 63, message)


def port_name(value: str) -> list[str]:
    """The name of a container's port (IANA service name)."""
    complaints = []
    if len(value) > 15:
        complaints.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", value):
        complaints.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        complaints.append("must contain at least one letter (a-z)")
    if "--" in value:
        complaints.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        complaints.append("must not begin or end with a hyphen")
    return complaints


# --- values that several kinds have --------------------------------------------------------------


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def ip_address(value: str) -> list[str]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def special_address(value: str) -> list[str]:
    """Why nobody else can be reached at an address, although it is one."""
    address = ipaddress.ip_address(value)
    reasons = {
        f"may not be unspecified ({value})": address.is_unspecified,
        "may not be in the loopback range (127.0.0.0/8, ::1/128)": address.is_loopback,
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)": address.is_link_local,
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)": (
            str(address).startswith(("224.0.0.", "ff02:"))
        ),
    }
    return [reason for reason, applies in reasons.items() if applies]


def check_labels(report: Report, path: str, labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        report.check(path, key, qualified_name(key))
        report.check(path, value, label_value(value))


def check_annotations(report: Report, path: str, annotations: Mapping[str, str]) -> None:
    for key in annotations:
        report.check(path, key, qualified_name(key.lower()))
    if sum(len(key) + len(value) for key, value in annotations.items()) > 256 * 1024:
        report.add("FieldValueTooLong", path, "Too long", "may not be more than 262144 bytes")


def check_unique(report: Report, path: str, field: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Every item's `field`, where it has one, occurs once."""
    seen: set[Any] = set()
    for index, item in enumerate(items):
        value = item.get(field)
        if value and value in seen:
            report.duplicate(f"{path}[{index}].{field}", value)
        seen.add(value)
