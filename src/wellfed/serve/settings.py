"""How `wellfed serve` listens, and what it allows."""

from __future__ import annotations

import ipaddress

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`token`: clients must send it (`Authorization: Bearer`); needed beyond loopback. `allow_run`: MCP may start and
    stop engines. `workers`: processes that compute; None: one a core, two at least.
    `most_read_s`: for a request's body.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    token: str | None = None
    allow_run: bool = False
    workers: int | None = None
    most_read_s: float = 30.0

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own loopback."""
    if host in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
