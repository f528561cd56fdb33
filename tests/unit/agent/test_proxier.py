"""Services in, sockets and rules out: US-14 to US-16, US-37 to US-42, US-70."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import time
from collections.abc import Iterator

import pytest

from labkit import errors
from labkit.agent import balancer, claims, describe, live, ports, proxier, state, tally
from labkit.client import watch
from labkit.model import proxying
from labkit.model.resources import Object
from tests.unit.agent import fakes
from tests.unit.agent.test_claims import FakeHost


class FakeProxy:
    """A proxy socket that only remembers."""

    def __init__(
        self,
        world: World,
        service_port: proxying.ServicePort,
        rotation: balancer.Balancer,
        port: int,
    ) -> None:
        self.world, self.balancer, self.port = world, rotation, port
        self.service_port = service_port
        self.told = 0
        self.draining = False

    def close(self) -> None:
        self.world.open.remove(self)
        self.world.rules_at_close.append(self.world.kernel.comments)

    def drain(self) -> None:
        self.draining = True

    def endpoints_changed(self) -> None:
        self.told += 1


class World:
    """A proxier with everything around it faked but the loop."""

    def __init__(self, port_range: str = "", min_sync_period_s: float = 0) -> None:
        self.running = fakes.RunningLoop()
        self.kernel = fakes.FakeKernel()
        self.tally = tally.Tally()
        self.open: list[FakeProxy] = []
        self.rules_at_close: list[set[str]] = []
        self.next_port = 40000
        #: Raised instead of opening the next proxy.
        self.trouble: OSError | None = None
        self.live = live.LivePorts(
            self._open_proxy,
            claims.Claims(FakeHost().hold),
            ports.PortAllocator(ports.parse_port_range(port_range)),
            live.Addresses(ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("192.168.56.11")),
        )
        self.proxier = self.running.do(
            lambda: proxier.Proxier(
                self.running.loop,
                self.live,
                self.kernel,
                self.tally,
                frozenset,
                sync_period_s=30,
                min_sync_period_s=min_sync_period_s,
            )
        )

    def services(self, *objects: Object, whole: bool = False) -> None:
        news = state.News(
            {("default", o["metadata"]["name"]): proxying.parse_service(o) for o in objects}, whole
        )
        self.running.do(lambda: self.proxier.take_services(news))

    def endpoints(self, *objects: Object, whole: bool = False) -> None:
        news = state.News(
            {("default", o["metadata"]["name"]): proxying.parse_endpoints(o) for o in objects},
            whole,
        )
        self.running.do(lambda: self.proxier.take_endpoints(news))

    def delete(self, name: str) -> None:
        news: state.News[state.Services] = state.News({("default", name): None})
        self.running.do(lambda: self.proxier.take_services(news))

    def synced(self, count: int) -> None:
        """Wait for so many syncs since the beginning."""
        self.running.until(lambda: self.tally.syncs >= count)

    def _open_proxy(
        self, service_port: proxying.ServicePort, rotation: balancer.Balancer, port: int
    ) -> FakeProxy:
        trouble, self.trouble = self.trouble, None
        if trouble:
            raise trouble
        self.next_port += 1
        proxy = FakeProxy(self, service_port, rotation, port or self.next_port)
        self.open.append(proxy)
        return proxy

    def close(self) -> None:
        self.running.do(self.proxier.close)
        self.running.close()


def service(name: str, ip: str = "10.96.20.1", **port: object) -> Object:
    port = {"port": 80, **port}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": ip, "ports": [port]},
    }


def endpoints(name: str, *ips: str) -> Object:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "subsets": [{"addresses": [{"ip": ip} for ip in ips], "ports": [{"port": 8080}]}],
    }


@pytest.fixture
def world() -> Iterator[World]:
    with contextlib.closing(World()) as made:
        yield made


def test_US_15_nothing_is_written_before_both_kinds_are_known(world: World) -> None:
    world.services(service("app1"), whole=True)
    assert world.kernel.applied == []
    assert world.open == []
    world.endpoints(endpoints("app1", "10.244.1.2"), whole=True)
    world.synced(1)
    assert world.kernel.comments == {"default/app1"}


def test_US_14_endpoints_take_effect_without_a_sync(world: World) -> None:
    world.services(service("app1"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    [proxy] = world.open
    assert proxy.balancer.choose("a") is None
    world.endpoints(endpoints("app1", "10.244.1.2"))
    choice = proxy.balancer.choose("a")
    assert choice is not None
    assert str(choice.endpoint) == "10.244.1.2:8080"
    assert proxy.told == 1
    assert world.tally.syncs == 1


def test_a_deleted_Service_loses_its_rules_first_and_its_socket_then(world: World) -> None:
    world.services(service("app1"), service("app2", "10.96.20.2"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    world.delete("app1")
    world.synced(2)
    world.running.until(lambda: len(world.open) == 1)
    assert world.rules_at_close == [{"default/app2"}]


def test_S_12_a_Service_that_comes_back_has_its_endpoints_at_once(world: World) -> None:
    """kube-proxy forgot them until the next Endpoints event (US-40)."""
    world.services(service("app1"), whole=True)
    world.endpoints(endpoints("app1", "10.244.1.2"), whole=True)
    world.synced(1)
    world.delete("app1")
    world.synced(2)
    world.services(service("app1"))
    world.synced(3)
    assert len(world.open[-1].balancer.endpoints) == 1


@pytest.mark.parametrize("ip", ["10.96.20.1", "10.96.20.7"])
def test_S_12_endpoints_that_came_back_before_their_Service(ip: str) -> None:
    """Two watches have no common order; all this may happen between two syncs."""
    key = ("default", "app1")
    back = proxying.parse_endpoints(endpoints("app1", "10.244.1.3"))
    with contextlib.closing(World(min_sync_period_s=0.3)) as world:
        world.services(service("app1"), whole=True)
        world.endpoints(endpoints("app1", "10.244.1.2"), whole=True)
        world.synced(1)
        world.services(service("app2", "10.96.20.2"))
        world.synced(2)  # the second that may come at once: the next has to wait

        def hear() -> None:
            take_services, take_endpoints = (
                world.proxier.take_services,
                world.proxier.take_endpoints,
            )
            take_services(state.News({key: None}))
            take_endpoints(state.News({key: None}))
            take_endpoints(state.News({key: back}))
            take_services(state.News({key: proxying.parse_service(service("app1", ip))}))

        world.running.do(hear)
        world.synced(3)
        proxy = world.open[0]
        assert proxy.service_port.name.name == "app1"
        assert [str(each) for each in proxy.balancer.endpoints] == ["10.244.1.3:8080"]
        assert proxy.told


def test_a_changed_Service_keeps_its_socket(world: World) -> None:
    """kube-proxy closed it and opened another (US-38, US-42)."""
    world.services(service("app1"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    world.services(service("app1", nodePort=30062))
    world.synced(2)
    assert len(world.open) == 1
    assert world.rules_at_close == []
    [accept] = world.kernel.applied[-1]["KUBE-NODEPORT-NON-LOCAL"]
    assert accept.value("--dport") == str(world.open[0].port)


def test_another_protocol_gets_another_socket(world: World) -> None:
    world.services(service("app1"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    first = world.open[0]
    world.services(service("app1", protocol="UDP"))
    world.running.until(lambda: first not in world.open)
    assert len(world.open) == 1


def test_US_70_flows_to_a_deleted_UDP_Service_are_forgotten(world: World) -> None:
    world.services(service("dns", protocol="UDP"), service("web", "10.96.20.2"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    dns = next(each.port for each in world.open if each.service_port.protocol == "UDP")
    world.running.until(lambda: world.kernel.forgotten == [{("10.96.20.1", 80): dns}])
    world.delete("dns")
    world.delete("web")
    world.running.until(lambda: world.kernel.forgotten[1:] == [{("10.96.20.1", 80): 0}])


def test_S_23_flows_are_forgotten_where_a_Service_moves_to_and_from(world: World) -> None:
    world.services(service("dns", protocol="UDP"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    dns = world.open[0].port
    world.services(service("dns", "10.96.20.7", protocol="UDP"))
    moved = {("10.96.20.1", 80): 0, ("10.96.20.7", 80): dns}
    world.running.until(lambda: world.kernel.forgotten[1:] == [moved])


def test_S_23_flows_are_forgotten_only_when_the_new_rules_are_there(world: World) -> None:
    world.kernel.failure = errors.CommandFailed(["iptables-restore"], 1, "no")
    world.services(service("dns", protocol="UDP"), whole=True)
    world.endpoints(whole=True)
    world.running.until(lambda: world.tally.restore_failures == 1)
    assert not world.kernel.forgotten
    world.kernel.failure = None
    world.services(service("web", "10.96.20.2"))
    world.running.until(lambda: [*world.kernel.forgotten[0]] == [("10.96.20.1", 80)])


def test_US_44_what_cannot_be_proxied_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.services(service("calls", protocol="SCTP"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    world.services(service("web", "10.96.20.2"))
    world.synced(2)
    assert world.kernel.comments == {"default/web"}
    assert caplog.text.count("SCTP is not supported") == 1


def test_US_34_the_loser_of_a_nodePort_has_its_other_rules_and_takes_over_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.services(service("one", nodePort=30062), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    world.services(service("two", "10.96.20.2", nodePort=30062))
    world.synced(2)
    assert "default/two: *:30062/TCP cannot be opened: it is default/one's" in caplog.text
    [rule] = world.kernel.applied[-1]["KUBE-NODEPORT-HOST"]
    assert rule.comment == "default/one"
    assert len(world.kernel.applied[-1]["KUBE-PORTALS-HOST"]) == 2
    world.delete("one")
    world.synced(3)
    [rule] = world.kernel.applied[-1]["KUBE-NODEPORT-HOST"]
    assert rule.comment == "default/two"


def test_S_7_a_port_that_comes_free_is_given_to_who_waits_for_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """kube-proxy never tried again, until that Service was edited (US-37)."""
    with contextlib.closing(World("50000-50000")) as world:
        world.services(service("one"), service("two", "10.96.20.2"), whole=True)
        world.endpoints(whole=True)
        world.synced(1)
        assert world.kernel.comments == {"default/one"}
        assert "all 1 ports of --proxy-port-range 50000-50000 are in use" in caplog.text
        world.delete("one")
        world.running.until(lambda: world.kernel.comments == {"default/two"})
        assert [proxy.port for proxy in world.open] == [50000]


def test_US_37_a_port_that_somebody_else_has_is_tried_again_at_the_next_sync(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with contextlib.closing(World("50000-50000")) as world:
        world.trouble = OSError(errno.EADDRINUSE, "Address already in use")
        world.services(service("one"), whole=True)
        world.endpoints(whole=True)
        world.synced(1)
        assert world.kernel.comments == set()
        assert "default/one: no proxy port: [Errno 98] Address already in use" in caplog.text
        world.services(service("two", "10.96.20.2"))  # a change of another asks for a sync
        world.running.until(lambda: len(world.kernel.comments) == 1)
        assert [proxy.port for proxy in world.open] == [50000]


def test_a_batch_that_fails_is_told_and_retried(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxier, "RETRY_S", 0.01)
    world.kernel.failure = errors.CommandFailed(["iptables-restore"], 4, "resource busy")
    world.services(service("app1"), whole=True)
    world.endpoints(whole=True)
    world.running.until(lambda: world.tally.restore_failures >= 2)
    assert "resource busy" in caplog.text
    world.kernel.failure = None
    world.synced(1)
    assert world.kernel.comments == {"default/app1"}


def test_affinity_edits_reach_the_balancer(world: World) -> None:
    sticky = service("app1")
    sticky["spec"]["sessionAffinity"] = "ClientIP"
    world.services(service("app1"), whole=True)
    world.endpoints(endpoints("app1", "10.244.1.2", "10.244.1.3"), whole=True)
    world.synced(1)
    rotation = world.open[0].balancer
    assert fakes.endpoint(rotation, "a") != fakes.endpoint(rotation, "a")
    world.services(sticky)
    world.synced(2)
    assert fakes.endpoint(rotation, "a") == fakes.endpoint(rotation, "a")


def test_after_a_flush_the_rules_are_written_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.services(service("app1"), whole=True)
    world.running.do(world.proxier.look_for_flush)  # not ready: nothing to look for
    world.endpoints(whole=True)
    world.synced(1)
    world.running.do(world.proxier.look_for_flush)
    world.kernel.flushed = True
    world.running.do(world.proxier.look_for_flush)
    world.synced(2)
    assert "somebody has flushed the rules" in caplog.text
    world.kernel.failure = errors.LabkitError("no iptables-save")
    world.running.do(world.proxier.look_for_flush)
    world.running.until(lambda: "cannot be read: no iptables-save" in caplog.text)
    assert len(world.kernel.applied) == 2


def test_changes_are_counted_until_they_are_in_effect(world: World) -> None:
    world.services(service("app1"), service("app2", "10.96.20.2"), whole=True)
    assert world.tally.service_changes == world.tally.service_changes_pending == 2
    world.endpoints(endpoints("app1", "10.244.1.2"), whole=True)
    world.synced(1)
    assert (world.tally.service_changes, world.tally.service_changes_pending) == (2, 0)
    assert (world.tally.endpoint_changes, world.tally.endpoint_changes_pending) == (1, 0)
    world.endpoints(endpoints("app1", "10.244.1.3"))
    assert (world.tally.endpoint_changes, world.tally.endpoint_changes_pending) == (2, 0)
    assert world.tally.sync_s.count == 1


@pytest.mark.parametrize(("ago_s", "observed"), [(0, 1), (-3600, 0)])
def test_network_programming_is_measured_from_the_trigger_time(
    world: World, ago_s: float, observed: int
) -> None:
    """What happened before our own time says nothing about us."""
    world.services(service("app1"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    changed = endpoints("app1", "10.244.1.2")
    moment = describe.render_time(time.time() + ago_s)
    changed["metadata"]["annotations"] = {state.TRIGGER_TIME: moment}
    news = state.digest(watch.WatchEvent("MODIFIED", changed), proxying.parse_endpoints)
    world.running.do(lambda: world.proxier.take_endpoints(news))
    assert world.tally.programming_s.count == observed
    assert world.tally.programming_s.sum < 10


def test_who_drains_opens_and_writes_nothing_more(world: World) -> None:
    world.services(service("app1"), whole=True)
    world.endpoints(whole=True)
    world.synced(1)
    world.running.do(world.proxier.drain)
    assert [proxy.draining for proxy in world.open] == [True]
    world.services(service("app2", "10.96.20.2"))
    world.running.do(lambda: None)
    assert len(world.kernel.applied) == 1
