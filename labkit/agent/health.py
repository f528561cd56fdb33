"""What the agent says about its health: `/healthz` on 10256, for whoever balances load over nodes.

Path, port and body are kube-proxy's.
"""

from __future__ import annotations

import time

from labkit.agent import http, tally


def answer_health(
    request: http.Request,
    counts: tally.Tally,
    now: float,
    *,
    timeout_s: float,
    stopping: bool = False,
) -> http.Answer:
    """Unhealthy is who was asked to sync, did not, and has had `timeout_s` for it (OB-2).

    Also who is stopping: connections go on, but new ones had better go to another node.
    """
    if request.path != "/healthz":
        return http.NOT_FOUND
    late = counts.last_queued > counts.last_sync and now - counts.last_queued >= timeout_s
    healthy = not late and not stopping
    updated = now if healthy else counts.last_sync
    body = f'{{"lastUpdated": "{_go_time(updated)}","currentTime": "{_go_time(now)}"}}'
    return http.Answer(body, 200 if healthy else 503, "application/json")


def _go_time(seconds: float) -> str:
    """A time as Go prints it, for programs that have learnt to read kube-proxy's."""
    nanoseconds = int(seconds % 1 * 1e9)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09} +0000 UTC"
