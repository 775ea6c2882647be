"""TCP queues at the engine's port, from /proc/net/tcp (Documentation/networking/proc_net_tcp.rst).

A client that does not read leaves bytes: unacknowledged in the engine's send queue when it is on another machine,
and also unread in its own receive queue when it is on this one.
"""

from __future__ import annotations

from wellfed.watch.sample import Sockets
from wellfed.watch.samplers.files import at, text

_ESTABLISHED, _LISTEN = "01", "0A"
_SMALL = 2048  # bytes in flight at any moment of a healthy stream


def sockets(port: int, root: str = "/", pid: int | None = None) -> Sockets | None:
    """Now; None where the kernel does not tell. `pid`: whose network namespace to look into."""
    folder = f"proc/{pid}/net" if pid is not None else "proc/net"
    contents = [text(at(root, f"{folder}/{name}")) for name in ("tcp", "tcp6")]
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
