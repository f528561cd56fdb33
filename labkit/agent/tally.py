"""What the agent counts. Each number changes at the one place in the code where its thing happens.

That makes these places the seam for anybody who wants to know more about a connection than that it
was one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Totals since the start, and `active_*` as they are now."""

    connections: int = 0
    active_connections: int = 0
    #: Connections that were reset because no endpoint could be had.
    refused_connections: int = 0
    failed_dials: int = 0
    udp_sessions: int = 0
    active_udp_sessions: int = 0
    dropped_datagrams: int = 0
    syncs: int = 0
    restore_failures: int = 0
    #: Seconds since the epoch; 0 before the first.
    last_sync: float = 0.0
    last_queued: float = 0.0
