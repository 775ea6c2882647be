"""Which process and which endpoint: from a name, a pid, an address, or by looking for one."""

from __future__ import annotations

import os
import socket
from dataclasses import field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.launch import state
from wellfed.launch.life import Running
from wellfed.message import listed, sentence
from wellfed.watching.samplers.files import names, number, text

_LISTEN = "0A"
_PROGRAMS = {  # words of their command lines, and the engine as layouts name it
    "llama-server": "llama.cpp",
    "wellfed.launch.embedded": "llama.cpp",
    "vllm": "vllm",
    "sglang": "sglang",
    "trtllm-serve": "tensorrt-llm",
    "ollama": "llama.cpp",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What to watch. Without `pid` only the endpoint is, without `url` only the process."""

    name: str
    pid: int | None = None
    url: str | None = None
    model: str | None = None
    engine: str | None = None
    key: str | None = field(default=None, repr=False)  # that wellfed made for it

    @property
    def port(self) -> int | None:
        """The port that the engine listens on."""
        return urlsplit(self.url).port if self.url else None


def find(name: str | None = None, pid: int | None = None, url: str | None = None) -> Target:
    """The target. Raises BadInput when there is none, or several to choose from."""
    if name is not None:
        return _running(state.find(name))
    if pid is not None or url is not None:
        return _named_target(pid, url)
    alive = [running for running in state.listed() if running.alive]
    if len(alive) == 1:
        return _running(alive[0])
    if alive:
        raise BadInput(
            sentence("target.several-engines-run", "several engines run"),
            sentence("target.name-one", "name one: {alive}", alive=listed(engine.name for engine in alive)),
        )
    return _looked_for()


def _running(running: Running) -> Target:
    if not running.alive:
        raise BadInput(
            sentence("target.ended", "{running} has ended", running=running.name),
            sentence("target.wellfed-logs-tells", "`wellfed logs {running}` tells why", running=running.name),
        )
    return Target(running.name, running.pid, running.url, running.model, running.engine, state.key_of(running))


def _named_target(pid: int | None, url: str | None) -> Target:
    if pid is not None and not Path(f"/proc/{pid}").is_dir():
        raise BadInput(
            sentence("target.no-process", "no process {pid}", pid=pid),
            sentence("target.wellfed-ps-ps", "`wellfed ps`, or `ps aux`"),
        )
    if url is None and pid is not None:
        ports = listening(pid)
        url = f"http://{address_of(pid)}:{ports[0]}" if ports else None
    elif url is not None and pid is None and _is_local(url):
        port = urlsplit(url).port or (443 if url.startswith("https") else 80)
        pid = owner(port)
    engine = engine_of(pid) if pid is not None else None
    return Target(
        url or sentence("target.process", "process {pid}", pid=pid),
        pid,
        url,
        engine=engine,
        key=state.key_at(url) if url else None,
    )


def address_of(pid: int) -> str:
    """Where the process can be reached from here: loopback, or the address of its own network namespace (a container's,
    a pod's), as its routing table tells it (/proc/PID/net/fib_trie; proc(5), namespaces(7)).
    """
    try:
        apart = Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:  # not ours to see
        apart = False
    return own_address(text(f"/proc/{pid}/net/fib_trie") or "") if apart else "127.0.0.1"


def own_address(fib_trie: str) -> str:
    """The first address of a host that is not loopback; loopback where there is none."""
    lines = fib_trie.splitlines()
    for line, following in pairwise(lines):
        address = line.rpartition("|-- ")[2].strip()
        if following.split() == ["/32", "host", "LOCAL"] and not address.startswith("127."):
            return address
    return "127.0.0.1"


def engine_of(pid: int) -> str | None:
    """The engine whose program the process runs, by its command line."""
    words = (text(f"/proc/{pid}/cmdline") or "").split("\0")[:4]
    if any(word.endswith("ollama") for word in words) and "serve" not in words:
        return None  # its runners answer to it alone; its client serves nobody
    return next((engine for program, engine in _PROGRAMS.items() if any(program in word for word in words)), None)


def _looked_for() -> Target:
    pids = []
    for name in names("/proc"):
        candidate = name.isdecimal() and int(name) != os.getpid()
        if candidate and engine_of(int(name)) is not None and listening(int(name)):
            pids.append(int(name))
    if len(pids) == 1:
        return _named_target(pids[0], None)
    if pids:
        raise BadInput(
            sentence("target.several-engines-run", "several engines run"),
            sentence("target.choose-one-pid", "choose one with --pid: {found}", found=listed(pids)),
        )
    raise BadInput(
        sentence("target.no-running-engine", "no running engine was found"),
        sentence("target.name-one-url", "name one: --url http://127.0.0.1:8080, or --pid"),
    )


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host in ("localhost", "127.0.0.1", "::1", "0.0.0.0"):
        return True
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(address.startswith("127.") or address == "::1" for address in addresses)


def listening(pid: int) -> list[int]:
    """Ports that the process listens on, lowest first."""
    inodes = _inodes(pid)
    return sorted(port for port, inode in _listeners(f"/proc/{pid}/net") if inode in inodes)


def owner(port: int) -> int | None:
    """The process that listens on `port` here; of several that share it, the oldest. None when it cannot be seen."""
    inodes = {inode for port_there, inode in _listeners("/proc/net") if port_there == port}
    if not inodes:
        return None
    pids = sorted(int(name) for name in names("/proc") if name.isdecimal())
    return next((pid for pid in pids if inodes & _inodes(pid)), None)


def _listeners(folder: str) -> list[tuple[int, int]]:
    listeners = []
    for name in ("tcp", "tcp6"):
        for line in (text(f"{folder}/{name}") or "").splitlines()[1:]:
            words = line.split()
            inode = number(words[9]) if len(words) > 9 and words[3] == _LISTEN else None
            if inode is not None:
                listeners.append((int(words[1].rpartition(":")[2], 16), inode))
    return listeners


def _inodes(pid: int) -> set[int]:
    inodes = set()
    for name in names(f"/proc/{pid}/fd"):
        try:
            link = str(Path(f"/proc/{pid}/fd/{name}").readlink())
        except OSError:
            continue
        if link.startswith("socket:["):
            inodes.add(int(link[8:-1]))
    return inodes
