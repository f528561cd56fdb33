"""The notation of the schemas, and decoding against them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver import decode, kinds, schema

NUMBER = "json: cannot unmarshal {} into Go struct field {} of type {}"


def test_a_field_is_read() -> None:
    field = schema.parse_field("ports!:[]ServicePort@port#2.1")
    assert (field.name, field.type, field.required) == (
        "ports",
        schema.Type("list", "ServicePort"),
        True,
    )
    assert (field.merge_key, field.numbers) == ("port", (2, 1))


@pytest.mark.parametrize(
    ("word", "list_type", "keys"),
    [
        ("a:[]string#1", "atomic", ()),
        ("a:[]string@#1", "set", ()),
        ("a:[]EnvVar@name#1", "map", ("name",)),
        ("a:[]ServicePort@port%port,protocol#1", "map", ("port", "protocol")),
        ("a:[]ResourceClaim%name#1", "map", ("name",)),
        ("a:[]HostIP@ip%#1", "atomic", ()),
    ],
)
def test_how_server_side_apply_sees_a_list(
    word: str, list_type: str, keys: tuple[str, ...]
) -> None:
    field = schema.parse_field(word)
    assert (field.list_type, field.map_keys, field.numbers) == (list_type, keys, (1,))


def test_every_type_that_a_field_has_exists() -> None:
    scalars = {"string", "bool", "int32", "int64", "float64", "time", "microtime"}
    scalars |= {"intstr", "quantity", "bytes", "any"}
    for struct in schema.structs().values():
        for field in struct.values():
            assert field.type.name in schema.structs() or field.type.name in scalars


def test_every_kind_has_a_struct() -> None:
    assert {kind.struct for kind in kinds.KINDS} <= set(schema.structs())


def test_merge_keys_are_fields_of_the_items() -> None:
    for struct in schema.structs().values():
        for field in struct.values():
            keys = {field.merge_key, *field.map_keys} - {None, ""}
            assert keys <= set(schema.fields_of(field.type.name))


def test_structs_named_apart_exist() -> None:
    assert set(schema.structs()) >= schema.ATOMIC | schema.UNIONS


def decoded(spec: Any, struct: str = "Service") -> decode.Decoded:
    return decode.decode({"metadata": {"name": "a"}, "spec": spec}, struct)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"ports": [{"port": "abc"}]},
            NUMBER.format("string", "ServicePort.spec.ports.port", "int32"),
        ),
        (
            {"ports": [{"port": 1.5}]},
            NUMBER.format("number 1.5", "ServicePort.spec.ports.port", "int32"),
        ),
        (
            {"ports": [{"port": 2**31}]},
            NUMBER.format("number 2147483648", "ServicePort.spec.ports.port", "int32"),
        ),
        ({"ports": {}}, NUMBER.format("object", "ServiceSpec.spec.ports", "[]v1.ServicePort")),
        ({"ports": ["a"]}, NUMBER.format("string", "ServiceSpec.spec.ports", "v1.ServicePort")),
        (
            {"selector": "a"},
            NUMBER.format("string", "ServiceSpec.spec.selector", "map[string]string"),
        ),
        ({"selector": {"a": 1}}, NUMBER.format("number", "ServiceSpec.spec.selector", "string")),
        (
            {"publishNotReadyAddresses": "yes"},
            NUMBER.format("string", "ServiceSpec.spec.publishNotReadyAddresses", "bool"),
        ),
        ("a", NUMBER.format("string", "Service.spec", "v1.ServiceSpec")),
        (
            {"ports": [{"targetPort": True}]},
            "json: cannot unmarshal bool into Go value of type int32",
        ),
    ],
)
def test_a_wrong_type_is_told_in_gos_words(spec: Any, message: str) -> None:
    with pytest.raises(decode.DecodeError) as caught:
        decoded(spec)
    assert str(caught.value) == message


def test_an_unknown_field_is_dropped_and_named() -> None:
    result = decoded({"ports": [{"port": 1, "foo": 2}], "bar": {}})
    assert result.object["spec"] == {"ports": [{"port": 1}]}
    assert result.unknown == ["spec.ports[0].foo", "spec.bar"]
    assert result.warnings[0] == 'unknown field "spec.ports[0].foo"'


def test_null_is_no_field() -> None:
    assert decoded({"ports": None, "type": "NodePort"}).object["spec"] == {"type": "NodePort"}


def test_ports_by_number_and_by_name_and_whole_floats() -> None:
    ports = [{"port": 80.0, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]
    found = decoded({"ports": ports}).object["spec"]["ports"]
    assert found == [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]


@pytest.mark.parametrize(
    ("value", "fine"), [("100m", True), ("1.5Gi", True), (2, True), ("a", False)]
)
def test_quantities(value: object, fine: bool) -> None:
    spec = {"containers": [{"name": "a", "resources": {"limits": {"cpu": value}}}]}
    if fine:
        limits = decoded(spec, "Pod").object["spec"]["containers"][0]["resources"]["limits"]
        assert limits == {"cpu": str(value)}
        return
    with pytest.raises(decode.DecodeError, match="quantities must match"):
        decoded(spec, "Pod")


def test_a_time_must_be_one() -> None:
    meta = {"metadata": {"creationTimestamp": "yesterday"}}
    with pytest.raises(decode.DecodeError, match='parsing time "yesterday"'):
        decode.decode(meta, "Service")


@pytest.mark.parametrize("body", [b"{", b"", b"NaN", b"[" * 100_000, b"\xff"])
def test_what_is_not_json_is_told(body: bytes) -> None:
    with pytest.raises(decode.DecodeError):
        decode.parse_json(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "ports", "port", "name", "x"]), inner
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_whatever_comes_is_decoded_or_refused(value: Any) -> None:
    try:
        result = decode.decode(value, "Service")
    except decode.DecodeError:
        return
    assert decode.decode(result.object, "Service") == decode.Decoded(result.object)
