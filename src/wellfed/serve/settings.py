"""How a server is set up."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """Where it listens and what it lets pass. `token` None: nobody is asked for one, which is for loopback only.

    `workers` are processes that compute; `waiting` are requests that may queue for them; a request computes for at
    most `most_work_s` and is read within `most_read_s`.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    token: str | None = None
    allow_run: bool = False
    workers: int = 2
    waiting: int = 256
    most_body_bytes: int = 16 * MIB
    most_read_s: float = 20.0
    most_work_s: float = 120.0

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether it is a number and no name: a name may be made to point here by whoever owns it, a number not."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
