from labkit.inspection import sockets

SS = """\
udp UNCONN 0      0      127.0.0.53%lo:53 0.0.0.0:*
tcp LISTEN 0      128        0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=7,fd=3))
tcp LISTEN 0      4096             [::]:22 [::]:* users:(("sshd",pid=7,fd=4))
tcp LISTEN 0      4096   *:40193 *:* users:(("python3",pid=27,fd=3),("python3",pid=28,fd=3))
icmp6 UNCONN 0    0      *:58 *:*
"""
PROCESSES = (
    "7 sshd: /usr/sbin/sshd -D\n27 /usr/bin/python3 -u /lib/kube-proxy.pyz --v=2 \nnonsense\n"
)


def test_reads_every_socket_with_its_process() -> None:
    found = sockets.parse_sockets(SS, PROCESSES)

    assert [(one.protocol, one.address, one.port, one.pid) for one in found] == [
        ("udp", "127.0.0.53%lo", 53, 0),
        ("tcp", "0.0.0.0", 22, 7),
        ("tcp", "[::]", 22, 7),
        ("tcp", "*", 40193, 27),
    ]
    assert found[3].command == "/usr/bin/python3 -u /lib/kube-proxy.pyz --v=2"


def test_a_process_is_named_by_what_it_runs() -> None:
    owners = [one.owner for one in sockets.parse_sockets(SS, PROCESSES)]

    assert owners == [
        "an unknown process",
        "sshd (pid 7)",
        "sshd (pid 7)",
        "kube-proxy (python3, pid 27)",
    ]


def test_an_interpreter_without_a_known_command_line_is_named_by_itself() -> None:
    assert sockets.parse_sockets(SS)[3].owner == "python3 (pid 27)"


def test_finds_a_listener_by_protocol_and_port() -> None:
    found = sockets.parse_sockets(SS)

    assert sockets.find_listener(found, "TCP", 40193) == found[3]
    assert sockets.find_listener(found, "UDP", 40193) is None
