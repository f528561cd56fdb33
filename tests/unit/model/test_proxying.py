"""Services and Endpoints as the proxy reads them: US-7 to US-12."""

from __future__ import annotations

import ipaddress

import pytest

from labkit.model import proxying
from labkit.model.proxying import Endpoint, ServicePortName
from labkit.model.resources import Object


def service(*ports: Object, status: Object | None = None, **spec: object) -> Object:
    return {
        "metadata": {"name": "app1", "namespace": "default"},
        "spec": {"clusterIP": "10.96.20.1", "ports": list(ports) or [{"port": 80}], **spec},
        "status": status or {},
    }


def endpoints(*subsets: Object) -> Object:
    return {"metadata": {"name": "app1", "namespace": "default"}, "subsets": list(subsets)}


def test_US_7_the_selector_asks_only_whether_the_labels_are_there() -> None:
    assert proxying.SELECTOR == (
        "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"clusterIP": "None"}, "headless"),
        ({"clusterIP": ""}, "no clusterIP"),
        ({"clusterIP": "ten"}, "not an address"),
        ({"type": "ExternalName", "externalName": "example.test"}, "ExternalName"),
    ],
)
def test_US_9_some_services_are_skipped_and_it_says_why(spec: Object, why: str) -> None:
    skipped = service(**spec)
    assert why in proxying.why_skipped(skipped)
    assert proxying.parse_service(skipped) == ()


def test_US_9_a_service_with_an_address_is_proxied() -> None:
    assert proxying.why_skipped(service()) == ""


def test_US_10_a_port_is_named_by_namespace_service_and_port_name() -> None:
    names = [port.name for port in proxying.parse_service(service({"port": 80}))]
    assert [str(name) for name in names] == ["default/app1"]
    two = service({"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53})
    assert [str(port.name) for port in proxying.parse_service(two)] == [
        "default/app1:dns",
        "default/app1:dns-tcp",
    ]
    assert [port.protocol for port in proxying.parse_service(two)] == ["UDP", "TCP"]


def test_a_service_port_has_every_address_it_is_asked_at() -> None:
    [port] = proxying.parse_service(
        service(
            {"port": 80, "targetPort": "web", "nodePort": 30040},
            status={"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}, {"hostname": "lb.test"}]}},
            externalIPs=["192.0.2.1", "nonsense", "2001:db8::1"],
        )
    )
    assert (port.port, port.node_port, port.target_port) == (80, 30040, "web")
    assert [str(ip) for ip in port.external_ips] == ["192.0.2.1", "2001:db8::1"]
    assert port.ingress_ips == (ipaddress.ip_address("192.0.2.9"),)
    assert not port.sticky


def test_target_port_defaults_to_port_and_does_not_make_a_port_another() -> None:
    [one] = proxying.parse_service(service({"port": 80}))
    [other] = proxying.parse_service(service({"port": 80, "targetPort": 8080}))
    assert (one.target_port, other.target_port) == (80, 8080)
    assert one == other


@pytest.mark.parametrize(
    ("spec", "timeout_s"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            },
            60,
        ),
    ],
)
def test_affinity_is_a_timeout_or_nothing(spec: Object, timeout_s: int) -> None:
    [port] = proxying.parse_service(service(**spec))
    assert port.affinity_timeout_s == timeout_s
    assert port.sticky is (timeout_s > 0)


def test_US_11_endpoints_are_gathered_by_port_name_over_all_subsets() -> None:
    found = proxying.parse_endpoints(
        endpoints(
            {
                "addresses": [{"ip": "10.244.1.2"}],
                "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53}],
            },
            {"addresses": [{"ip": "10.244.2.2"}], "ports": [{"name": "http", "port": 9090}]},
        )
    )
    assert found == {
        ServicePortName("default", "app1", "http"): (
            Endpoint("10.244.1.2", 8080),
            Endpoint("10.244.2.2", 9090),
        ),
        ServicePortName("default", "app1", "dns"): (Endpoint("10.244.1.2", 53),),
    }


def test_US_11_only_ready_addresses_with_a_port_count() -> None:
    found = proxying.parse_endpoints(
        endpoints(
            {
                "addresses": [{"ip": ""}, {"ip": "10.244.1.2"}, {"ip": "10.244.1.2"}],
                "notReadyAddresses": [{"ip": "10.244.1.3"}],
                "ports": [{"port": 8080}, {"name": "none", "port": 0}],
            },
            {"ports": [{"port": 8080}]},
        )
    )
    assert [str(ep) for ep in found[ServicePortName("default", "app1")]] == ["10.244.1.2:8080"] * 2
    assert len(found) == 1


def test_an_endpoint_knows_its_pod_for_people_only() -> None:
    target = {"kind": "Pod", "name": "app1-1"}
    found = proxying.parse_endpoints(
        endpoints(
            {
                "addresses": [{"ip": "10.244.1.2", "nodeName": "node1", "targetRef": target}],
                "ports": [{"port": 8080}],
            }
        )
    )
    [endpoint] = found[ServicePortName("default", "app1")]
    assert (endpoint.pod, endpoint.node) == ("app1-1", "node1")
    assert endpoint == Endpoint("10.244.1.2", 8080)


def test_an_IPv6_endpoint_is_written_in_brackets() -> None:
    assert str(Endpoint("2001:db8::1", 80)) == "[2001:db8::1]:80"
