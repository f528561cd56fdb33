"""The addresses of load balancers, as routes of the table `local` and as words to neighbours."""

from __future__ import annotations

from ipaddress import IPv4Address

from labkit.podlet import announce

OWN = IPv4Address("192.168.56.11")


def test_only_what_differs_is_changed() -> None:
    lines = announce.plan_changes(("192.168.56.200", "192.168.56.201"), (), "eth0", OWN)
    assert lines == (
        "route add local 192.168.56.200 dev eth0 src 192.168.56.11 proto 77",
        "route add local 192.168.56.201 dev eth0 src 192.168.56.11 proto 77",
    )
    held = ("192.168.56.200", "192.168.56.202")
    assert announce.plan_changes(("192.168.56.200",), held, "eth0", OWN) == (
        "route del local 192.168.56.202 table local proto 77",
    )
    assert announce.plan_changes(held, held, "eth0", OWN) == ()


def test_the_announcement_is_a_gratuitous_request() -> None:
    mac = bytes.fromhex("0200c0a8380b")
    frame = announce.render_announcement(mac, IPv4Address("192.168.56.200"))
    assert frame.hex(" ", 2) == (
        "ffff ffff ffff 0200 c0a8 380b 0806 "
        "0001 0800 0604 0001 "
        "0200 c0a8 380b c0a8 38c8 0000 0000 0000 c0a8 38c8"
    )
