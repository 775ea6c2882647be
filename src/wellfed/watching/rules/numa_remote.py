"""`numa-remote`: the engine's memory, threads and GPU are not on the same node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wellfed.faults.numa import BIND, BOUND_BY_RUN, DROP_CACHE, INTERLEAVE, ONE_SOCKET
from wellfed.message import listed, sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_MUCH = 0.3  # share of pages or threads on the wrong node that costs more than it takes to move them (assumed)
_TAKES_PART = 0.5  # of an even share of the threads: fewer do not ask for a node's bandwidth
_SPREAD = (INTERLEAVE, ONE_SOCKET, DROP_CACHE)


def judge(view: View) -> Iterable[Sign]:
    """Threads on some nodes, pages on others or all on one; or threads away from the node of their GPU."""
    nodes = _thread_nodes(view)
    return [*_pages(view, nodes), *_gpu(view, nodes)]


def _thread_nodes(view: View) -> dict[int, float]:
    """Busy threads by node."""
    process, host = view.process, view.host
    busy_by_node: dict[int, float] = {}
    for thread in process.wanting if process else ():
        node = host.node_of_cpu.get(thread.cpu) if host and thread.cpu is not None else None
        if node is not None:
            busy_by_node[node] = busy_by_node.get(node, 0.0) + thread.busy
    return busy_by_node


def _pages(view: View, nodes: dict[int, float]) -> list[Sign]:
    pages = view.process.pages if view.process else None
    total, threads = sum((pages or {}).values()), sum(nodes.values())
    if (
        not pages
        or not total
        or not threads
        or view.on_gpu
        or len(set(view.host.node_of_cpu.values()) if view.host else ()) < 2
    ):
        return []
    shares = {node: share / threads for node, share in nodes.items()}
    remote, uneven = _remote(shares, pages), _uneven(shares, pages)
    if max(remote, uneven) < _MUCH:
        return []
    where = listed(
        sentence("watch.numa-remote.node", "node {node} {size}", node=node, size=percent(size / total))
        for node, size in sorted(pages.items())
    )
    growing = view.host.remote_pages_per_s if view.host else None
    return sign(
        max(remote, uneven),
        ENGINE,
        sentence(
            "watch.numa-remote.pages-lie-another",
            "its pages lie on another NUMA node than its threads: every weight crosses the link between sockets",
        )
        if remote >= _MUCH
        else sentence(
            "watch.numa-remote.one-node-memory",
            "one node's memory serves threads on several: the others' channels idle, and their threads read remotely",
        ),
        sentence(
            "watch.numa-remote.threads-run-node",
            "threads run on node {nodes}; pages: {where}",
            nodes=listed(map(str, sorted(nodes))),
            where=where,
        ),
        sentence(
            "watch.numa-remote.pages-s-allocated", "{growing:.0f} pages/s allocated for other nodes", growing=growing
        )
        if growing and growing >= 1
        else None,
        fix=() if remote >= _MUCH else _SPREAD,
    )


def _remote(threads: dict[int, float], pages: Mapping[int, int]) -> float:
    """The share of reads that could be local and are not.

    Each thread reads all pages alike: what it finds at home is its node's share of them. The best that threads on n
    nodes can have is 1/n.
    """
    total = sum(pages.values())
    local = sum(share * pages.get(node, 0) / total for node, share in threads.items())
    return max(0.0, 1 / len(threads) - local)


def _uneven(threads: dict[int, float], pages: Mapping[int, int]) -> float:
    """The share of bandwidth that idles when one node holds more than its part.

    A step ends when the fullest node has delivered: n nodes with a largest share s do 1/(n s) of what even pages would.
    """
    working = {node: share for node, share in threads.items() if share >= _TAKES_PART / len(threads)}
    largest = max(pages.values()) / sum(pages.values())
    return max(0.0, 1 - 1 / (len(working) * largest)) if len(working) > 1 else 0.0


def _gpu(view: View, nodes: dict[int, float]) -> list[Sign]:
    threads = sum(nodes.values())
    gpu_nodes = {gpu.node for gpu in view.engine_gpus if gpu.node is not None and gpu.node >= 0}
    if (
        not view.on_gpu
        or not threads
        or not gpu_nodes
        or any(node not in set(view.host.node_of_cpu.values()) for node in gpu_nodes if view.host)
    ):
        return []
    away = sum(share for node, share in nodes.items() if node not in gpu_nodes) / threads
    if away < 0.7:
        return []
    return sign(
        0.25,
        ENGINE,
        sentence(
            "watch.numa-remote.threads-feed-gpu", "the threads that feed the GPU run on another socket than its slot"
        ),
        sentence(
            "watch.numa-remote.threads-run-node-2",
            "threads run on node {nodes}, the GPU's is {wanted}",
            nodes=listed(map(str, sorted(nodes))),
            wanted=listed(map(str, sorted(gpu_nodes))),
        ),
    )


RULE = Rule(
    id="numa-remote",
    title=sentence("watch.numa-remote.title", "Remote NUMA memory"),
    kind=Kind.ILL,
    reads=sentence(
        "watch.numa-remote.reads",
        "/proc/PID/numa_maps, where hot threads last ran, nodes of CPUs and GPUs, numastat other_node",
    ),
    rule=(
        sentence(
            "watch.numa-remote.rule",
            "Threads find 30 % fewer pages at home than they could; or they run on several nodes "
            "while one holds so many pages that 30 % of the bandwidth idles; or 70 % of hot time is "
            "off the GPU's node.",
        )
    ),
    judge=judge,
    fix=(
        BIND,
        BOUND_BY_RUN,
    ),
    then=sentence("watch.numa-remote.then", "`numastat -p PID`; `wellfed check --select numa-*`."),
    explains=("queueing", "memory-contention"),
)
