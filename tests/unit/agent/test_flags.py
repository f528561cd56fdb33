"""The command line is kube-proxy's."""

from __future__ import annotations

import re
import subprocess
import sys
from ipaddress import IPv4Address

import pytest

from labkit import errors
from labkit.agent import flags, notation, ports
from labkit.model import flags as model_flags


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
        (["--proxy-mode=ipvs"], "the only mode there is here is userspace"),
        (["--cleanup=perhaps"], "neither true nor false"),
        (["--clean"], "there is no flag --clean"),
        (["something"], "there is no flag something"),
        (["--udp-timeout"], "--udp-timeout needs a value"),
        (["--v=much"], "--v=much"),
        (["--cluster-cidr=10.244.0.1/16"], "has host bits set"),
    ],
)
def test_a_wrong_flag_says_why(argv: list[str], said: str) -> None:
    with pytest.raises(errors.UsageError, match=re.escape(said)) as caught:
        parse(*argv)
    assert caught.value.hint == "--help lists the flags"


def test_a_wrong_flag_ends_the_program_with_status_2() -> None:
    script = "import sys; from labkit.agent import main; sys.exit(main.main(sys.argv[1:]))"
    argv = [sys.executable, "-c", script, "--udp-timeout=250"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--udp-timeout=250: '250' is not a duration: write 30s" in done.stderr


def test_of_a_flag_that_is_given_twice_the_last_counts() -> None:
    assert parse("--v=1", "-v", "2").verbosity == 2


def test_help_tells_of_every_flag_and_its_default() -> None:
    text = flags.render_help()
    assert all(f"  --{flag.name}\n" in text for flag in model_flags.FLAGS)
    assert "balanced anew (default: 250ms)" in text


def test_without_a_kubeconfig_there_is_nothing_to_do() -> None:
    with pytest.raises(errors.UsageError, match="--kubeconfig is needed"):
        flags.parse_flags([])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1h2m3s", 3723.0), ("1.5s", 1.5), ("250ms", 0.25), ("10us", 1e-5), (".5m", 30.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert notation.parse_duration(text) == pytest.approx(seconds)


def test_a_drain_ends_before_the_supervisor_s_patience() -> None:
    with pytest.raises(errors.UsageError, match="at most 30 s"):
        flags.parse_flags(["--kubeconfig=x", "--drain-timeout=31s"])
    assert flags.parse_flags(["--kubeconfig=x", "--drain-timeout=30s"]).drain_timeout_s == 30


def test_the_network_of_pods_may_be_unknown() -> None:
    assert flags.parse_flags(["--kubeconfig=x"]).cluster_cidr is None
    found = flags.parse_flags(["--kubeconfig=x", "--cluster-cidr=10.244.0.0/16"]).cluster_cidr
    assert str(found) == "10.244.0.0/16"
