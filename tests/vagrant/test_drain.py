"""What kube-proxy does for open connections where a running systemd stops it, on a real machine."""

from __future__ import annotations

import pytest

from tests.vagrant.typed import Typed

pytestmark = [
    pytest.mark.vagrant,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("brought_up"),
]

UNIT = "labkit-kube-proxy"
NODE_PORT = "http://192.168.56.11:30062/"
#: Asks, and at a word asks once more over the same connection. The first answer proves that the
#: proxy has let it in.
ASK_TWICE = r"""
import http.client, sys
client = http.client.HTTPConnection("192.168.56.11", 30062, timeout=60)
for _ in range(2):
    client.request("GET", "/")
    answer = client.getresponse()
    answer.read()
    print(answer.status, flush=True)
    sys.stdin.readline()
"""
#: Ends when nobody new is let in.
UNTIL_TURNED_AWAY = """
import http.client
try:
    while True:
        client = http.client.HTTPConnection("192.168.56.11", 30062, timeout=60)
        client.request("GET", "/")
        client.getresponse().read()
        client.close()
except ConnectionError:
    pass
"""


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_connection_is_served_until_it_ends(typed: Typed, verb: str) -> None:
    with typed.started("python", "-c", ASK_TWICE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "200\n"
        typed.exec("node1", f"systemctl --no-block {verb} {UNIT}")
        assert typed.raw("python", "-c", UNTIL_TURNED_AWAY).returncode == 0
        state = typed.exec("node1", f"systemctl show {UNIT} -p ActiveState --value")
        assert state == "deactivating", "it waits for the connection"
        said, _ = client.communicate("ask once more\n", timeout=60)
        assert said == "200\n"
    typed.exec("node1", f"systemctl start {UNIT}")  # when it has stopped
    log = typed.exec("node1", "cat /var/log/labkit/kube-proxy.log").splitlines()
    told = [line.split(" ", 2)[-1] for line in log]
    stopping = max(i for i, line in enumerate(told) if line.startswith("stopping: "))
    assert told[stopping].endswith(" open, for at most 30 s")
    assert told[stopping + 1] == "stopped", "nothing had to be reset"
    patient = ("--retry", "60", "--retry-delay", "1", "--retry-all-errors")
    answered = typed.raw("curl", "-sf", "-m", "10", *patient, NODE_PORT)
    assert answered.returncode == 0
