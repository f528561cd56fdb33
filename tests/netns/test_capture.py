"""A real lab: one request seen on both nodes that it crosses, in one file."""

from __future__ import annotations

import concurrent.futures
import json

import pytest

from labkit import errors, lab
from labkit.inspection import collect
from labkit.inspection.capture import lines, pcapng, taking
from labkit.model import example, proxying

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
SECONDS = 3


def test_a_request_is_seen_on_every_node_that_it_crosses(opened: lab.Lab) -> None:
    opened.up()
    found = collect.read_objects(opened.api.client, example.NAME, "default")
    ports = proxying.parse_service(found.service)
    assert found.endpoints
    (ends,) = proxying.parse_endpoints(found.endpoints).values()
    wanted = taking.plan_filter(ports, ends)
    names = [node.name for node in opened.spec.cluster]
    curl = ("curl", "-sS", f"http://{ports[0].cluster_ip}:{ports[0].port}/")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        taken = pool.submit(taking.take, opened.pool, names, seconds=SECONDS, wanted=wanted)
        # Ten a second are enough to meet every pod; each more is one more to capture and to read.
        while concurrent.futures.wait([taken], timeout=0.1).not_done:
            assert json.loads(opened.exec("node1", curl).stdout)
    packets = taken.result()
    assert [one.time_ns for one in packets] == sorted(one.time_ns for one in packets)
    homes = {one.node for one in ends if one.node}
    assert homes <= {packet.node for packet in packets}
    said = [lines.render(packet) for packet in packets]
    for end in ends:
        assert any(f"> {end.ip}:{end.port}  SYN" in line for line in said)
    content = pcapng.render(packets)
    assert all(content.count(name.encode()) for name in homes)


def test_an_interface_that_is_not_there(opened: lab.Lab) -> None:
    opened.up(example=False)
    with pytest.raises(errors.LabkitError, match="eth77"):
        taking.take(opened.pool, ["node1"], seconds=1, interface="eth77")
