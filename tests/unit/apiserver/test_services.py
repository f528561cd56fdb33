"""Services: defaults, rules, and what an update may change."""

from __future__ import annotations

from typing import Any

import pytest

from labkit import errors
from labkit.apiserver import registry
from labkit.apiserver.kinds import service_columns, services
from labkit.model import resources
from tests.unit.apiserver import cluster


def create(objects: registry.Registry, **spec: Any) -> resources.Object:
    obj = cluster.service("a", **spec)
    return dict(objects.create(services.KIND, "default", obj).object["spec"])


def update(objects: registry.Registry, **changes: Any) -> resources.Object:
    """Like a PUT of a manifest: what is None is left out."""

    def modify(old: resources.Object) -> resources.Object:
        spec = {**old["spec"], **changes}
        return {**old, "spec": {k: v for k, v in spec.items() if v is not None}}

    return dict(objects.update(services.KIND, "default", "a", modify).object["spec"])


def test_defaults_of_a_node_port_service(objects: registry.Registry) -> None:
    spec = create(objects, ports=[{"port": 80, "nodePort": 30080}])
    address = spec.pop("clusterIP")
    assert spec == {
        "type": "NodePort",
        "selector": {"name": "app1"},
        "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "clusterIPs": [address],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
    }


def test_affinity_gets_its_three_hours(objects: registry.Registry) -> None:
    spec = create(objects, sessionAffinity="ClientIP")
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert "sessionAffinityConfig" not in update(objects, sessionAffinity="None")


def test_a_load_balancer_has_node_ports_unless_told_otherwise(objects: registry.Registry) -> None:
    spec = create(objects, type="LoadBalancer", ports=[{"port": 80}])
    assert spec["ports"][0]["nodePort"]
    assert spec["allocateLoadBalancerNodePorts"] is True


INVALID: list[tuple[dict[str, Any], str]] = [
    (
        {"externalIPs": ["127.0.0.1"]},
        (
            'spec.externalIPs[0]: Invalid value: "127.0.0.1": '
            "may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ),
    ),
    (
        {"healthCheckNodePort": 30001},
        (
            "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is "
            "'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        ),
    ),
    (
        {"ipFamilyPolicy": "RequireDualStack"},
        (
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
            "this cluster is not configured for dual-stack services"
        ),
    ),
    (
        {"ipFamilyPolicy": "Both"},
        (
            'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: '
            '"PreferDualStack", "RequireDualStack", "SingleStack"'
        ),
    ),
    (
        {"ipFamilies": ["IPv6"]},
        'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    ),
    ({"ports": []}, "spec.ports: Required value"),
    (
        {"type": "Nodeport"},
        (
            'spec.type: Unsupported value: "Nodeport": supported values: '
            '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
        ),
    ),
    (
        {"ports": [{"port": 0, "targetPort": 1}]},
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"port": 80, "targetPort": 70000}]},
        "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"port": 80, "targetPort": "no_such"}]},
        (
            'spec.ports[0].targetPort: Invalid value: "no_such": must contain only alpha-numeric '
            "characters (a-z, 0-9), and hyphens (-)"
        ),
    ),
    (
        {"ports": [{"port": 80, "protocol": "HTTP"}]},
        'spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        {"ports": [{"name": "a", "port": 80}, {"port": 81}]},
        "spec.ports[1].name: Required value",
    ),
    (
        {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]},
        'spec.ports[1].name: Duplicate value: "a"',
    ),
    (
        {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
        (
            'spec.ports[1]: Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", '
            "AppProtocol:(*string)(nil), Port:80, TargetPort:intstr.IntOrString{Type:0, IntVal:0, "
            'StrVal:""}, NodePort:0}'
        ),
    ),
    (
        {"type": "ClusterIP"},
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        {"clusterIP": "None"},
        (
            'spec.clusterIPs[0]: Invalid value: "None": '
            "may not be set to 'None' for NodePort services"
        ),
    ),
    (
        {"clusterIP": "10.96"},
        (
            'spec.clusterIPs[0]: Invalid value: "10.96": must be a valid IP address, '
            "(e.g. 10.9.8.7 or 2001:db8::ffff)"
        ),
    ),
    ({"type": "ExternalName", "ports": []}, "spec.externalName: Required value"),
    (
        {"sessionAffinity": "Sticky"},
        'spec.sessionAffinity: Unsupported value: "Sticky": supported values: "ClientIP", "None"',
    ),
    (
        {"externalTrafficPolicy": "Some"},
        (
            'spec.externalTrafficPolicy: Unsupported value: "Some": supported values: '
            '"Cluster", "Local"'
        ),
    ),
    (
        {"externalIPs": ["a"]},
        (
            'spec.externalIPs[0]: Invalid value: "a": must be a valid IP address, '
            "(e.g. 10.9.8.7 or 2001:db8::ffff)"
        ),
    ),
]


@pytest.mark.parametrize(("spec", "message"), INVALID)
def test_what_a_service_cannot_be(
    objects: registry.Registry, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        create(objects, **spec)
    assert str(caught.value) == f'Service "a" is invalid: {message}'


def test_every_mistake_is_told_at_once(objects: registry.Registry) -> None:
    with pytest.raises(errors.Invalid) as caught:
        create(objects, type="X", ports=[{"port": 0, "protocol": "Y"}])
    causes = caught.value.body["details"]["causes"]
    assert [cause["field"] for cause in causes] == [
        "spec.type",
        "spec.ports[0].port",
        "spec.ports[0].protocol",
        "spec.ports[0].targetPort",
    ]
    assert {cause["reason"] for cause in causes} == {"FieldValueInvalid", "FieldValueNotSupported"}


@pytest.mark.parametrize("name", ["1abc", "Upper", "a_b", "a" * 64, "-a"])
def test_names_that_are_no_dns_labels(objects: registry.Registry, name: str) -> None:
    with pytest.raises(errors.Invalid, match=r"metadata\.name: Invalid value"):
        objects.create(services.KIND, "default", cluster.service(name))


class TestUpdate:
    def test_the_address_is_for_life(self, objects: registry.Registry) -> None:
        create(objects)
        with pytest.raises(errors.Invalid) as caught:
            update(objects, clusterIP="10.96.9.9")
        assert str(caught.value) == (
            'Service "a" is invalid: spec.clusterIPs[0]: Invalid value: '
            '[]string{"10.96.9.9"}: may not change once set'
        )

    def test_what_is_not_mentioned_is_kept(self, objects: registry.Registry) -> None:
        spec = create(objects)
        ports = [{"port": 8080}]
        same = update(objects, clusterIP=None, clusterIPs=None, ports=ports)
        assert same["clusterIP"] == spec["clusterIP"]
        assert same["ports"][0]["nodePort"] == 30062

    def test_becoming_a_cluster_ip_service_frees_the_node_port(
        self, objects: registry.Registry
    ) -> None:
        create(objects)
        spec = update(objects, type="ClusterIP")
        assert "nodePort" not in spec["ports"][0]
        assert "externalTrafficPolicy" not in spec
        objects.create(services.KIND, "default", cluster.service("b"))

    def test_becoming_a_node_port_service_gets_one(self, objects: registry.Registry) -> None:
        create(objects, type="ClusterIP", ports=[{"port": 80}])
        assert update(objects, type="NodePort")["ports"][0]["nodePort"]

    def test_becoming_an_external_name_and_back(self, objects: registry.Registry) -> None:
        create(objects)
        spec = update(objects, type="ExternalName", externalName="a.example", ports=None)
        assert "clusterIP" not in spec
        back = update(objects, type="ClusterIP", externalName=None, ports=[{"port": 1}])
        assert back["clusterIP"]

    def test_a_new_node_port_can_be_chosen_and_the_old_is_free(
        self, objects: registry.Registry
    ) -> None:
        create(objects)
        update(objects, ports=[{"port": 8080, "nodePort": 30063}])
        objects.create(services.KIND, "default", cluster.service("b"))
        with pytest.raises(errors.Invalid, match="already allocated"):
            update(objects, ports=[{"port": 8080, "nodePort": 30062}])

    def test_the_status_is_the_servers(self, objects: registry.Registry) -> None:
        create(objects)

        def forge(old: resources.Object) -> resources.Object:
            return {**old, "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}}

        stored = objects.update(services.KIND, "default", "a", forge)
        assert stored.object["status"] == {"loadBalancer": {}}
        stored = objects.update(services.KIND, "default", "a", forge, subresource="status")
        assert stored.object["status"]["loadBalancer"]["ingress"] == [{"ip": "1.1.1.1"}]


class TestColumns:
    @pytest.mark.parametrize(
        ("spec", "cells"),
        [
            ({}, ["a", "NodePort", "ADDRESS", "<none>", "8080:30062/TCP"]),
            (
                {"type": "ClusterIP", "ports": [{"port": 80}], "externalIPs": ["1.1.1.1"]},
                ["a", "ClusterIP", "ADDRESS", "1.1.1.1", "80/TCP"],
            ),
            (
                {"type": "ClusterIP", "clusterIP": "None", "ports": []},
                ["a", "ClusterIP", "None", "<none>", "<none>"],
            ),
            (
                {"type": "ExternalName", "externalName": "x.y", "ports": []},
                ["a", "ExternalName", "<none>", "x.y", "<none>"],
            ),
            (
                {"type": "LoadBalancer"},
                ["a", "LoadBalancer", "ADDRESS", "<pending>", "8080:30062/TCP"],
            ),
        ],
    )
    def test_a_row(
        self, objects: registry.Registry, spec: dict[str, Any], cells: list[str]
    ) -> None:
        obj = objects.create(services.KIND, "default", cluster.service("a", **spec)).object
        row = service_columns.row(obj, objects.clock() + 90)
        address = obj["spec"].get("clusterIP", "")
        wanted = [address if cell == "ADDRESS" else cell for cell in cells]
        assert row == [*wanted, "90s", "name=app1"]
        assert len(row) == len(services.KIND.columns)

    def test_a_load_balancer_that_has_an_address(self, objects: registry.Registry) -> None:
        obj = objects.create(services.KIND, "default", cluster.service(type="LoadBalancer")).object
        given = {**obj, "status": {"loadBalancer": {"ingress": [{"ip": "192.168.56.200"}]}}}
        assert service_columns.external_address(given) == "192.168.56.200"


LOCAL = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}


class TestHealthChecks:
    """`healthCheckNodePort`: where a balancer asks which nodes have endpoints."""

    def test_allocated_and_kept(self, objects: registry.Registry) -> None:
        spec = create(objects, **LOCAL)
        number = spec["healthCheckNodePort"]
        assert 30000 <= number <= 32767
        assert number != spec["ports"][0]["nodePort"]
        assert update(objects, healthCheckNodePort=None)["healthCheckNodePort"] == number

    def test_released_when_no_longer_needed(self, objects: registry.Registry) -> None:
        spec = create(objects, **LOCAL, healthCheckNodePort=30500)
        assert spec["healthCheckNodePort"] == 30500
        other = cluster.service("b", ports=[{"port": 80, "nodePort": 30500}])
        with pytest.raises(errors.ApiError, match="provided port is already allocated"):
            objects.create(services.KIND, "default", other)
        assert "healthCheckNodePort" not in update(objects, externalTrafficPolicy="Cluster")
        objects.create(services.KIND, "default", other)

    def test_given_by_a_change_of_policy(self, objects: registry.Registry) -> None:
        spec = create(objects, **{**LOCAL, "externalTrafficPolicy": "Cluster"})
        assert "healthCheckNodePort" not in spec
        assert update(objects, externalTrafficPolicy="Local")["healthCheckNodePort"]
        assert "healthCheckNodePort" not in update(objects, type="NodePort")

    def test_immutable(self, objects: registry.Registry) -> None:
        create(objects, **LOCAL, healthCheckNodePort=30500)
        with pytest.raises(errors.ApiError, match=r"healthCheckNodePort: .* field is immutable"):
            update(objects, healthCheckNodePort=30501)

    def test_drawn_around_the_one_asked_for(self, objects: registry.Registry) -> None:
        """However many ports are drawn, none of them is the one that the client wants."""
        ports = [{"name": f"p{n}", "port": n} for n in range(1, 40)]
        spec = create(objects, **{**LOCAL, "ports": ports}, healthCheckNodePort=30001)
        assert 30001 not in [port["nodePort"] for port in spec["ports"]]
