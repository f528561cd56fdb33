"""Bodies as kubectl's typed clients send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import protobuf

#: What `kubectl create namespace foo` puts on the wire.
NAMESPACE = bytes.fromhex(
    "6b387300 0a0f 0a027631 12094e616d657370616365 121b"
    "0a13 0a03666f6f 1200 1a00 2200 2a00 3200 3800 4200 1200 1a02 0a00 1a00 2200"
)


def varint(value: int) -> bytes:
    value %= 2**64
    parts = []
    while True:
        parts.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(parts)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return varint(field << 3 | 2) + varint(len(data)) + data


def envelope(kind: str, *parts: bytes) -> bytes:
    meta = message(1, message(1, b"v1"), message(2, kind.encode()))
    return protobuf.MAGIC + meta + message(2, *parts)


def test_what_kubectl_sends_for_a_namespace() -> None:
    assert protobuf.decode(NAMESPACE, "Namespace") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "foo"},
        "spec": {},
        "status": {},
    }


def test_a_service_with_maps_lists_and_ports_by_number_or_name() -> None:
    by_name = message(4, number(1, 1), number(2, 0), message(3, b"http"))
    by_number = message(4, number(1, 0), number(2, 8080), message(3, b""))
    ports = [
        message(1, message(1, b"web"), message(2, b"TCP"), number(3, 80), p, number(5, 0))
        for p in (by_name, by_number)
    ]
    selector = message(2, message(1, b"app"), message(2, b"a"))
    body = envelope("Service", message(2, *ports, selector, number(13, 0)))
    spec = protobuf.decode(body, "Service")["spec"]
    assert spec == {
        "ports": [
            {"name": "web", "protocol": "TCP", "port": 80, "targetPort": "http"},
            {"name": "web", "protocol": "TCP", "port": 80, "targetPort": 8080},
        ],
        "selector": {"app": "a"},
    }


def test_a_zero_that_counts_is_kept_and_embedded_structs_are_flat() -> None:
    volume = message(1, message(1, b"tmp"), message(2, message(2)))
    body = envelope("Pod", message(2, volume, number(4, 0), number(21, 0)))
    assert protobuf.decode(body, "Pod")["spec"] == {
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
    }


def test_negative_numbers_times_and_quantities() -> None:
    meta = message(1, message(8, number(1, 60)), number(10, -1))
    limits = message(1, message(1, b"cpu"), message(2, message(1, b"100m")))
    container = message(2, message(1, b"c"), message(8, limits))
    found = protobuf.decode(envelope("Pod", meta, message(2, container)), "Pod")
    assert found["metadata"] == {
        "creationTimestamp": "1970-01-01T00:01:00Z",
        "deletionGracePeriodSeconds": -1,
    }
    assert found["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "100m"}}


def test_fields_from_the_future_are_passed_over() -> None:
    body = envelope("Namespace", number(99, 1), message(98, b"x"), varint(97 << 3 | 5) + b"1234")
    assert protobuf.decode(body, "Namespace") == {"apiVersion": "v1", "kind": "Namespace"}


@given(st.binary(max_size=60))
def test_damage_is_told_and_never_worse(data: bytes) -> None:
    try:
        protobuf.decode(protobuf.MAGIC + data, "Service")
    except protobuf.ProtobufError:
        return


def test_other_bytes_are_not_protobuf() -> None:
    with pytest.raises(protobuf.ProtobufError, match="does not appear to be"):
        protobuf.decode(b"{}", "Service")
