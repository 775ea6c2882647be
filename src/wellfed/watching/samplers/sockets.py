"""TCP queues at the engine's port, from /proc/net/tcp (Documentation/networking/proc_net_tcp.rst).

A client that does not read leaves bytes: unacknowledged in the engine's send queue when it is on another machine,
and also unread in its own receive queue when it is on this one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from wellfed.watching.sample import Sockets
from wellfed.watching.samplers.files import at, text

_ESTABLISHED, _LISTEN = "01", "0A"
_PAUSE, _ALL_EVERY = 300, 20
_SMALL = 2048  # bytes in flight at any moment of a healthy stream


class SocketSampler:
    """Looks no more often than a part in 300 of the time allows: on some machines the kernel walks a large table.

    `pid`: whose network namespace to look into.
    """

    def __init__(self, port: int, root: str = "/", pid: int | None = None) -> None:
        folder = f"proc/{pid}/net" if pid is not None else "proc/net"
        self._files = tuple(at(root, f"{folder}/{name}") for name in ("tcp", "tcp6"))
        self._port = port
        self._used = self._files
        self._due = 0.0
        self._count = 0

    def sample(self) -> Sockets | None:
        """Now; None where the kernel does not tell, or when it is too early to look again."""
        now = time.monotonic()
        if now < self._due:
            return None
        files = self._files if self._count % _ALL_EVERY == 0 else self._used
        contents = [text(file) for file in files]
        end = f":{self._port:04X}"
        self._used = tuple(f for f, c in zip(files, contents, strict=True) if c and end in c) or self._files
        self._count += 1
        self._due = now + _PAUSE * (time.monotonic() - now)
        return parsed(self._port, contents)


def parsed(port: int, contents: Sequence[str | None]) -> Sockets | None:
    """From the texts of /proc/net/tcp and tcp6; None without either."""
    if all(content is None for content in contents):
        return None
    end = f":{port:04X}"
    connections = unread = accepting = 0
    stuck: dict[str, int] = {}
    for line in (line for content in contents for line in (content or "").splitlines()):
        words = line.split()
        if len(words) < 5 or ":" not in words[4] or end not in line:
            continue
        local, remote, state = words[1], words[2], words[3]
        sent, received = (int(part, 16) for part in words[4].split(":"))
        if state == _LISTEN and local.endswith(end):
            accepting += received
        elif state == _ESTABLISHED and local.endswith(end):
            connections += 1
            stuck[remote[-4:]] = stuck.get(remote[-4:], 0) + sent
        elif state == _ESTABLISHED and remote.endswith(end):
            stuck[local[-4:]] = stuck.get(local[-4:], 0) + received
    unread = sum(stuck.values())
    return Sockets(connections, unread, sum(1 for count in stuck.values() if count > _SMALL), accepting)
