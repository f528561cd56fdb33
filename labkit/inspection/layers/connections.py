"""Who is connected to whom: the text of `ss -Htnp state established`.

    0 0 192.168.56.11:40193 10.244.1.2:51004 users:(("kube-proxy",pid=27,fd=9))

In userspace mode each request is two of these: the client's with the proxy, the proxy's with a pod.
"""

from __future__ import annotations

import re

from labkit.inspection.layers import rows

_LINE = re.compile(
    r"\d+\s+\d+\s+(?P<local>\S+)\s+(?P<remote>\S+)"
    r'(?:\s+users:\(\("(?P<process>.*?)",pid=(?P<pid>\d+))?'
)


def parse_connections(text: str) -> tuple[rows.ConnectionRow, ...]:
    """Read what ss printed; lines of another form are left out."""
    found = (_LINE.match(line.strip()) for line in text.splitlines())
    return tuple(_row(one) for one in found if one)


def _row(found: re.Match[str]) -> rows.ConnectionRow:
    process = f"{found['process']} (pid {found['pid']})" if found["pid"] else "unknown"
    return rows.ConnectionRow(found["local"], found["remote"], process)
