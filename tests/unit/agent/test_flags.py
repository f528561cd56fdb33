"""The command line is kube-proxy's."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from labkit.agent import flags, ports


def parse(*argv: str) -> flags.Flags:
    return flags.parse_flags(["--kubeconfig", "/etc/kubeconfig", *argv])


def test_defaults_are_kube_proxy_s() -> None:
    found = parse()
    assert found.bind_address == IPv4Address("0.0.0.0")
    assert found.node_ip is None
    assert found.port_range == ports.PortRange()
    assert (found.sync_period_s, found.min_sync_period_s) == (30.0, 1.0)
    assert found.udp_timeout_s == 0.25
    assert found.healthz_address == ("0.0.0.0", 10256)
    assert found.metrics_address == ("127.0.0.1", 10249)
    assert (found.verbosity, found.cleanup) == (0, False)
    assert found.hostname


def test_flags_are_read_in_both_forms() -> None:
    found = parse(
        "--hostname-override= Node1 ",
        "--node-ip",
        "192.168.56.11",
        "--bind-address=192.168.56.11",
        "--proxy-port-range=40000-41000",
        "--iptables-sync-period=1m30s",
        "--iptables-min-sync-period=0",
        "--udp-timeout",
        "5s",
        "--config-sync-period=15m",
        "--proxy-mode=userspace",
        "--healthz-bind-address=127.0.0.1:0",
        "--metrics-bind-address=[::1]:10249",
        "--v=2",
    )
    assert found.hostname == "node1"
    assert found.node_ip == found.bind_address == IPv4Address("192.168.56.11")
    assert found.port_range == ports.PortRange(40000, 41000)
    assert (found.sync_period_s, found.min_sync_period_s) == (90.0, 0.0)
    assert found.udp_timeout_s == 5.0
    assert found.healthz_address == ("127.0.0.1", 0)
    assert found.metrics_address == ("::1", 10249)
    assert found.verbosity == 2


@pytest.mark.parametrize(
    ("argv", "cleanup"),
    [(["--cleanup"], True), (["--cleanup=true"], True), (["--cleanup=false"], False)],
)
def test_cleanup_is_a_flag_of_Go_s_form(argv: list[str], cleanup: bool) -> None:
    assert parse(*argv).cleanup is cleanup


def test_US_74_cleanup_needs_no_API_server() -> None:
    assert flags.parse_flags(["--cleanup"]).cleanup


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--bind-address=127.0.0.1"], "cannot proxy on localhost"),
        (["--bind-address=somewhere"], "somewhere"),
        (["--proxy-port-range=9-5"], "the ports have to rise"),
        (["--udp-timeout=0"], "longer than 0"),
        (["--udp-timeout=250"], "write 30s, 250ms or 1m30s"),
        (["--iptables-sync-period=1s", "--iptables-min-sync-period=2s"], "must not be longer"),
        (["--healthz-bind-address=10256"], "write 127.0.0.1:10249"),
        (["--metrics-bind-address=localhost:10249"], "localhost"),
        (["--proxy-mode=ipvs"], "--proxy-mode"),
        (["--cleanup=perhaps"], "neither true nor false"),
        (["--clean"], "--clean"),
        (["something"], "something"),
    ],
)
def test_a_wrong_flag_ends_with_status_2_and_says_why(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_without_a_kubeconfig_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags.parse_flags([])
    assert "--kubeconfig is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1h2m3s", 3723.0), ("1.5s", 1.5), ("250ms", 0.25), ("10us", 1e-5), (".5m", 30.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert flags.parse_duration(text) == pytest.approx(seconds)


def test_a_drain_ends_before_the_supervisor_s_patience(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags.parse_flags(["--kubeconfig=x", "--drain-timeout=31s"])
    assert "at most 30 s" in capsys.readouterr().err
    assert flags.parse_flags(["--kubeconfig=x", "--drain-timeout=30s"]).drain_timeout_s == 30


def test_the_network_of_pods_may_be_unknown() -> None:
    assert flags.parse_flags(["--kubeconfig=x"]).cluster_cidr is None
    found = flags.parse_flags(["--kubeconfig=x", "--cluster-cidr=10.244.0.0/16"]).cluster_cidr
    assert str(found) == "10.244.0.0/16"
