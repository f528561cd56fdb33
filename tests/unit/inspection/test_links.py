"""From fields to rules, sockets and endpoints."""

from __future__ import annotations

from labkit.inspection import collect, links, service
from labkit.model import resources
from tests.unit.inspection import recorded

STATES = (
    recorded.state("node1", "app1-node1-after"),
    recorded.state("node2", "app1-node2-after"),
    collect.NodeState(recorded.LAB.node("control"), trouble="sshd does not answer"),
)


def linked(obj: resources.Object) -> dict[tuple[str, str], links.Link]:
    told = service.inspect_service(obj, recorded.endpoints(), recorded.PODS, STATES)
    return {(link.field, link.node): link for link in told.links}


def test_each_field_that_is_set_leads_to_something_on_each_node_that_answers() -> None:
    found = linked(recorded.service())
    told = service.inspect_service(recorded.service(), recorded.endpoints(), recorded.PODS, STATES)
    assert {path for path, _ in found} == {field.path for field in told.fields if field.value}
    for path in ("spec.clusterIP", "spec.ports[0].port", "spec.ports[0].nodePort"):
        assert {node for at, node in found if at == path} == {"node1", "node2"}


def test_counters_are_those_of_the_field_s_own_rules() -> None:
    found = linked(recorded.service())
    told = service.inspect_service(recorded.service(), recorded.endpoints(), recorded.PODS, STATES)
    rules = [rule for port in told.nodes[0].ports for rule in port.rules]
    own = [rule for rule in rules if rule.field == "spec.ports[0].nodePort"]
    link = found["spec.ports[0].nodePort", "node1"]
    assert own
    assert (link.packets, link.bytes) == (
        sum(rule.packets for rule in own),
        sum(rule.bytes for rule in own),
    )
    assert link.chains == tuple(dict.fromkeys(rule.chain for rule in own))
    listener = told.nodes[0].ports[0].listener
    assert listener
    assert listener.owner in link.leads_to[0]


def test_target_port_and_selector_lead_to_the_endpoints() -> None:
    found = linked(recorded.service())
    ends = {end for link in found.values() if not link.chains for end in link.leads_to}
    assert ends
    assert all(":8080 (app1-" in end for end in ends)


def test_session_affinity_leads_to_the_proxy_that_remembers() -> None:
    obj = recorded.service()
    obj["spec"]["sessionAffinity"] = "ClientIP"
    assert "held by" in linked(obj)["spec.sessionAffinity", "node1"].leads_to[0]


def test_a_port_that_nobody_holds() -> None:
    state = recorded.state("node1", "app1-node1-after")
    dead = collect.NodeState(state.node, state.rules)
    told = service.inspect_service(recorded.service(), None, recorded.PODS, [dead])
    link = next(one for one in told.links if one.field == "spec.clusterIP")
    assert link.leads_to[0].endswith("held by nobody")
    assert link.leads_to[0] in " ".join(repr(told).split())
    assert link.leads_to[0] in told._repr_html_()


def test_a_field_that_is_not_set_leads_nowhere() -> None:
    obj = recorded.service()
    del obj["spec"]["ports"][0]["nodePort"]
    assert not [path for path, _ in linked(obj) if path.endswith("nodePort")]
