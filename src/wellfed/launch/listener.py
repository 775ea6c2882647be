"""Who listens at a port: an answer there proves an engine only where nobody else gives it."""

from __future__ import annotations

import psutil

from wellfed.launch import identity


def stranger(port: int, engine: int, token: str) -> int | None:
    """The pid of one that listens at TCP `port` where nothing does that the engine with pid `engine` has started.

    What an engine starts shares its group or session, or has inherited the `token` of its launch. None as well where
    it cannot be told: another user's sockets, a system that shows none.
    """
    try:
        sockets = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    listening = {
        connection.pid
        for connection in sockets
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
    }
    pids: list[int] = sorted(pid for pid in listening if pid is not None)
    if not pids or any(_is_of(pid, engine, token) for pid in pids):
        return None
    return pids[0]


def _is_of(pid: int, engine: int, token: str) -> bool:
    try:
        process = identity.stat(pid)
    except OSError:
        return True
    if process is None or engine in (pid, process.group, process.session):
        return True
    return bool(token) and identity.is_marked(pid, token)
