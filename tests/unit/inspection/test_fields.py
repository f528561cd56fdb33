from labkit.inspection import endpoints, fields
from labkit.model import proxying, resources
from tests.unit.inspection import recorded

BACKENDS = endpoints.list_backends(recorded.endpoints(), recorded.PODS)


def explain(
    service: resources.Object, backends: tuple[endpoints.Backend, ...] = BACKENDS
) -> dict[str, fields.Field]:
    told = fields.explain_fields(service, backends, recorded.LAB.cluster)
    return {field.path: field for field in told}


def test_port_target_port_and_node_port_are_told_apart() -> None:
    told = explain(recorded.service())

    assert list(told) == [
        "spec.clusterIP",
        "spec.ports[0].port",
        "spec.ports[0].targetPort",
        "spec.ports[0].nodePort",
        "spec.selector",
    ]
    assert "10.96.20.1:8080" in told["spec.ports[0].port"].meaning
    assert "Only the proxy dials it" in told["spec.ports[0].targetPort"].meaning
    assert "192.168.56.12:30062" in told["spec.ports[0].nodePort"].meaning
    assert told["spec.selector"].value == "name=app1"


def test_a_target_port_may_be_a_name() -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    named = endpoints.list_backends(recorded.endpoints(port=9090, port_name="http"), ())

    found = explain(recorded.service(ports=ports), named)
    none = explain(recorded.service(ports=ports), ())

    assert "here 9090" in found["spec.ports[0].targetPort"].meaning
    assert "no pod behind this Service has" in none["spec.ports[0].targetPort"].meaning


def test_without_a_node_port_nobody_gets_in_from_outside() -> None:
    told = explain(recorded.service(type="ClusterIP", ports=[{"port": 80}]))

    assert told["spec.ports[0].nodePort"].value == ""
    assert "No way in from outside" in told["spec.ports[0].nodePort"].meaning


def test_addresses_from_elsewhere_and_affinity_are_told_when_set() -> None:
    service = recorded.service(externalIPs=["192.0.2.1", "192.0.2.2"], sessionAffinity="ClientIP")
    service["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}, {"hostname": "lb"}]}}

    told = explain(service)

    assert told["spec.externalIPs"].value == "192.0.2.1, 192.0.2.2"
    assert told["status.loadBalancer.ingress"].value == "192.0.2.9"
    assert told["spec.sessionAffinity"].value == "ClientIP"


def test_a_headless_service_has_no_address() -> None:
    told = explain(recorded.service(clusterIP="None", selector=None))

    assert "headless" in told["spec.clusterIP"].meaning
    assert "made by hand" in told["spec.selector"].meaning
    assert len(told) == 2


def test_an_external_name_is_only_a_name() -> None:
    service = recorded.service(type="ExternalName", externalName="example.test", clusterIP=None)

    assert [(field.path, field.value) for field in explain(service).values()] == [
        ("spec.externalName", "example.test")
    ]


def test_the_path_of_a_request_in_one_line() -> None:
    (port,) = proxying.parse_service(recorded.service())
    (inner,) = proxying.parse_service(recorded.service(ports=[{"port": 80, "targetPort": "web"}]))

    assert fields.explain_path(port, BACKENDS) == (
        "default/app1, TCP: 10.96.20.1:8080 (port) or any node:30062 (nodePort) -> the proxy port, "
        "random on each node -> a pod, port 8080 (targetPort)"
    )
    assert fields.explain_path(inner, ()) == (
        "default/app1, TCP: 10.96.20.1:80 (port) -> the proxy port, random on each node -> a pod, "
        "port web (targetPort)"
    )
